"""The suites that come with sgbench, by name. No torch.

The files are in `suites/` of a checkout; a wheel carries that folder inside the package.
"""

from os.path import lexists
from pathlib import Path
from typing import Final

from sgbench.base.atomic import refusal, write_atomic
from sgbench.base.choices import suggestion
from sgbench.base.errors import UserError

PACKAGE: Final = Path(__file__).parents[1]
SUFFIX: Final = ".yaml"


def library() -> Path:
    """The folder of the files: inside an installed package, else beside the package of a checkout."""
    carried = PACKAGE / "suites"
    return carried if carried.is_dir() else PACKAGE.parent / "suites"


def suite_names() -> list[str]:
    """Every name, such as `fashion-mnist` or `paper/figure-4`; names without a folder first."""
    files = library().rglob(f"*{SUFFIX}")
    names = [file.relative_to(library()).as_posix().removesuffix(SUFFIX) for file in files]
    return sorted(names, key=lambda name: (name.count("/"), name))


def is_name(suite: str | Path) -> bool:
    """Whether a suite of this name comes with sgbench."""
    return Path(suite).as_posix() in suite_names()


def file_of(name: str) -> Path:
    """The file of the suite of this name. Raises UserError where there is none."""
    if name not in suite_names():
        raise UserError(
            f"there is no suite {name!r}{nearest(name)}", where="NAME", fix="choose one of `sgbench suites list`"
        )
    return library() / f"{name}{SUFFIX}"


def locate(suite: str | Path) -> Path:
    """The file at this path; if there is none, the file of the suite of this name."""
    path = Path(suite)
    return file_of(path.as_posix()) if is_name(path) and not path.is_file() else path


def nearest(suite: str | Path) -> str:
    """`, did you mean 'x'?` if a suite's name is close to this name or path, else nothing."""
    return suggestion(Path(suite).as_posix().removesuffix(SUFFIX).rpartition("suites/")[2], suite_names())


def copy_suite(name: str, folder: Path) -> Path:
    """Write the file of a suite into a folder, and say where. Raises UserError for a file that is there already."""
    source = file_of(name)
    target = folder / source.name
    if lexists(target):
        raise UserError(
            "the file already exists", where=str(target), fix="move it away, or give another folder with --to"
        )
    try:
        write_atomic(target, source.read_bytes())
    except OSError as error:
        fix = "give another folder with --to, or fix its permissions"
        raise refusal(error, "the suite cannot be copied there", where=target, fix=fix) from error
    return target
