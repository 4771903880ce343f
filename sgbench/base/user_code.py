"""Code of a user's own: `FILE.py:NAME`, with the local modules that the file imports. No torch.

Only a path that the user wrote is ever run. `locate` reads files and runs nothing: the digest of code is known, and
compared, without it.
"""

import ast
import hashlib
import importlib.util
import re
import sys
import traceback
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from types import ModuleType
from typing import Any, Final, NamedTuple

from sgbench.base.atomic import write_atomic
from sgbench.base.bounded import read_bounded
from sgbench.base.choices import suggestion
from sgbench.base.errors import UserError

FORM: Final = re.compile(r"(?:(?P<measured>[A-Za-z0-9_]+)@)?(?P<path>.+\.py):(?P<name>[A-Za-z_][A-Za-z0-9_]*)")
LIKE: Final = re.compile(r".*\.py(:.*)?", re.DOTALL)
ADDRESS: Final = re.compile(r"[a-z][a-z0-9+.-]*://|hf:", re.IGNORECASE)
MOST_BYTES: Final = 4 << 20


class UserCode(NamedTuple):
    """An object in a file of the user's, and the files that it is made of."""

    reference: str
    """As the user wrote it."""
    path: Path
    """Absolute."""
    name: str
    sha256: str
    """Of the file and of the local modules it imports, by their names and contents."""
    files: tuple[Path, ...]
    """The file, then the local modules, absolute."""
    measured: str = ""
    """`fd` in `fd@mine.py:EXTRACTOR`: the metric that is measured in what the reference names."""

    @property
    def folder(self) -> Path:
        """Where local modules are found."""
        return self.path.parent


def is_reference(value: object) -> bool:
    """Whether a value names a file of code, rightly spelt or not; no other name of a suite ends in `.py`."""
    return isinstance(value, str) and LIKE.fullmatch(value) is not None


def locate(reference: str, folder: Path, where: str) -> UserCode:
    """The code of a reference, relative to `folder`, with its digest; nothing is run.

    Raises UserError for another form, for an address, and for a file that cannot be read.
    """
    match = FORM.fullmatch(reference)
    if match is None:
        raise UserError(f"{reference!r} names no object", where=where, fix="write FILE.py:NAME, such as mine.py:RULE")
    if ADDRESS.match(match["path"]):
        raise UserError(
            f"code is never run from an address, as {reference} is",
            where=where,
            fix="download the file, read it, and give its path",
        )
    try:
        path = (folder / Path(match["path"]).expanduser()).resolve()
    except (RuntimeError, OSError, ValueError) as error:
        raise UserError(f"{reference!r} is not a path ({error})", where=where, fix="correct the path") from error
    sha256, files = code_digest(path, path.parent, where)
    return UserCode(reference, path, match["name"], sha256, files, match["measured"] or "")


def code_digest(path: Path, folder: Path, where: str, package: str = "") -> tuple[str, tuple[Path, ...]]:
    """The sha256 of a file and of the modules below `folder` that it imports, and these files, its own first.

    Of what is below `folder` only modules of `package` count, where it is given: others are installed beside it. Raises
    UserError for a file that cannot be read.
    """
    contents = dict(_closure(path, folder, where, package))
    total = hashlib.sha256()
    # Of names and contents: where the folder is, and which file was met first, counts not.
    for file in sorted(contents):
        name = file.relative_to(folder).as_posix()
        total.update(f"{name}\0{hashlib.sha256(contents[file]).hexdigest()}\n".encode())
    return total.hexdigest(), tuple(contents)


def load(code: UserCode, where: str) -> Any:
    """The object, from its file; code that is loaded already is not run again.

    Raises UserError, naming file and line, for a file that fails and for one without the object.
    """
    name = f"sgbench_own_{code.sha256[:16]}_{code.path.stem}"
    module = sys.modules.get(name) or _run(code, name)
    if hasattr(module, code.name):
        return getattr(module, code.name)
    own = [key for key in vars(module) if not key.startswith("_")]
    raise UserError(
        f"{code.path} has no object {code.name!r}{suggestion(code.name, own)}",
        where=where,
        fix="define it there, or correct the name",
    )


def packed(code: UserCode) -> tuple[tuple[str, bytes], ...]:
    """The files of code by their paths below its folder, for a machine that has not got them."""
    return tuple((file.relative_to(code.folder).as_posix(), file.read_bytes()) for file in code.files)


def unpack(files: Iterable[tuple[str, bytes]], folder: Path) -> None:
    """Write packed files below a folder."""
    for name, content in files:
        write_atomic(folder / name, content)


def line_of(error: BaseException, files: tuple[Path, ...] = ()) -> str:
    """`FILE, line N` of the last line of these files, or of any, that an error passed; empty where it passed none."""
    frames = traceback.extract_tb(error.__traceback__)
    passed = [(Path(frame.filename), frame.lineno) for frame in frames]
    if isinstance(error, SyntaxError) and error.filename:
        passed.append((Path(error.filename), error.lineno))
    passed = [(file, line) for file, line in passed if not files or file in files]
    return f"{passed[-1][0]}, line {passed[-1][1]}" if passed else ""


def _run(code: UserCode, name: str) -> ModuleType:
    spec = importlib.util.spec_from_file_location(name, code.path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    try:
        with _local_modules(code):
            spec.loader.exec_module(module)
    # Whatever a file does when it is run, exiting included, is told in a sentence.
    except (Exception, SystemExit) as error:
        del sys.modules[name]
        at = line_of(error, code.files) or str(code.path)
        reason = str(error.msg) if isinstance(error, SyntaxError) else str(error)
        raise UserError(
            f"the file fails on import ({type(error).__name__}{f': {reason}' if reason else ''})",
            where=at,
            fix="correct that line",
        ) from error
    return module


@contextmanager
def _local_modules(code: UserCode) -> Iterator[None]:
    """Imports find the modules beside the file first, and those of another user's file of the same name never."""
    modules = [_module_name(path, code.folder).split(".") for path in code.files[1:]]
    # The packages above a module hold it, too, whether they have a file or not.
    names = {".".join(parts[:length]) for parts in modules for length in range(1, len(parts) + 1)}
    before = {name: sys.modules.pop(name) for name in names if name in sys.modules}
    sys.path.insert(0, str(code.folder))
    try:
        yield
    finally:
        sys.path.remove(str(code.folder))
        for name in names:
            sys.modules.pop(name, None)
        sys.modules.update(before)


def _closure(path: Path, folder: Path, where: str, package: str) -> Iterator[tuple[Path, bytes]]:
    """The file and the local modules that it and they import, with their contents, in the order they are met."""
    waiting, seen = [path], {path}
    while waiting:
        file = waiting.pop(0)
        try:
            content = read_bounded(file, MOST_BYTES)
        except FileNotFoundError as error:
            raise UserError(f"there is no file {file}", where=where, fix="correct the path") from error
        except OSError as error:
            raise UserError(f"{file} cannot be read ({error})", where=where, fix="check the file") from error
        yield file, content
        for module in _imported(file, content, folder):
            if package and module.partition("/")[0] != package:
                continue
            found = [at for at in (folder / f"{module}.py", folder / module / "__init__.py") if at.is_file()]
            waiting += [at for at in found if at not in seen]
            seen |= set(found)


def _imported(file: Path, content: bytes, folder: Path) -> list[str]:
    """Everything that a file may import as paths below the folder: `a/b` for `import a.b` and for `from a import b`."""
    try:
        tree = ast.parse(content)
    except (SyntaxError, ValueError):
        # `load` says what is wrong with it.
        return []
    names: list[str] = []
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            names += [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            package = file.parent.relative_to(folder).parts
            above = package[: len(package) - node.level + 1] if node.level else ()
            base = ".".join((*above, *([node.module] if node.module else [])))
            names += [base, *(f"{base}.{alias.name}" if base else alias.name for alias in node.names)]
    # The packages above a module run with it.
    parts = [name.split(".") for name in names if name and name.partition(".")[0] not in sys.stdlib_module_names]
    return ["/".join(one[:length]) for one in parts for length in range(1, len(one) + 1)]


def _module_name(path: Path, folder: Path) -> str:
    return ".".join(path.relative_to(folder).with_suffix("").parts).removesuffix(".__init__")
