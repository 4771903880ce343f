"""A folder for any static host: the reports of several suites, and an index over them.

    <output>/
      index.html        what each suite found, with links
      <report>/...      the files that the report.json of that report lists, no others
      .nojekyll         so that hosts which rewrite pages leave these alone
      site.json         the files written here: what a later call may replace

Links are relative and nothing carries a date: the same reports give the same bytes. The folder is made next to the old
one and takes its place when it is complete, so a call that fails or is cut short leaves the old one as it was.
"""

import filecmp
import json
import shutil
import uuid
from collections.abc import Sequence
from importlib import resources
from pathlib import Path
from typing import Any, NamedTuple

import jinja2
from markupsafe import Markup

from sgbench.base.atomic import refusal, write_atomic
from sgbench.base.errors import UserError
from sgbench.base.printable import is_control, printable

RECORD, PAGE = "report.json", "index.html"
FRONTIER, DRAWN = "frontier", (".png", ".svg")
OFFERED = {
    "table.csv": "CSV",
    "table.parquet": "Parquet",
    "table.md": "Markdown",
    "table.tex": "LaTeX",
    "references.bib": "BibTeX",
    RECORD: "JSON",
}
"""Files that the index links to, and what it calls them."""
# Bytes of a file's name.
LONGEST_PART = 255
AGAIN = "write it again with `sgbench report SUITE`"
MANIFEST, NO_JEKYLL = "site.json", ".nojekyll"
MADE_BY = "sgbench publish"


class Site(NamedTuple):
    """The index, how many reports and files it is over, how many of these are new or changed, and how many are gone."""

    page: Path
    reports: int
    files: int
    written: int
    removed: int

    def as_dict(self) -> dict[str, Any]:
        """The counts as plain data."""
        return {**self._asdict(), "page": str(self.page)}


def find_reports(reports: Path) -> list[Path]:
    """The report folders directly below `reports`, by name. Raises UserError where there are none.

    Skipped are a folder that contains only folders, which is another set of reports, and a published site.
    """
    below = sorted(path for path in reports.glob("*") if path.is_dir() and not path.name.startswith("."))
    found = [path for path in below if any(inner.is_file() for inner in path.iterdir()) and not _written_before(path)]
    if not found:
        raise UserError("there are no reports", where=str(reports), fix="run `sgbench report SUITE` first")
    return found


def publish(folders: Sequence[Path], output: Path) -> Site:
    """Copy the reports in `folders` into `output`, with an index over them in their order, in place of an earlier site.

    Raises UserError for a folder that is not a complete report, for two of one name, for an `output` that
    holds anything that was not published there, and where it cannot be written.
    """
    places: dict[str, Path] = {}
    for folder in dict.fromkeys(folder.resolve() for folder in folders):
        _check_name(folder, places)
        places[folder.name] = folder
    entries = [read_entry(folder) for folder in places.values()]
    before = _written_before(output)
    _check_output(output, before)
    files: dict[str, bytes | Path] = {f"{e.name}/{file}": places[e.name] / file for e in entries for file in e.files}
    files |= {PAGE: render_index(entries), NO_JEKYLL: b""}
    manifest = {"made_by": MADE_BY, "files": sorted([*files, MANIFEST])}
    files[MANIFEST] = (json.dumps(manifest, indent=1) + "\n").encode()
    home = output.resolve()
    staged = home.with_name(f".{home.name}.{uuid.uuid4().hex[:8]}.new")
    try:
        for name, content in files.items():
            _write(staged / name, content)
        there = {name for name in files if (home / name).is_file()}
        written = sum(not (name in there and filecmp.cmp(staged / name, home / name, shallow=False)) for name in files)
        removed = sum((home / name).is_file() for name in before - set(files))
        if written or removed:
            _put_in_place(staged, home)
    except OSError as error:
        where = Path(str(error.filename or output))
        fix = "make room, fix the permissions, or choose another folder with --output"
        raise refusal(error, "the site cannot be written", where=where, fix=fix) from error
    finally:
        shutil.rmtree(staged, ignore_errors=True)
    return Site(output / PAGE, len(entries), len(files), written, removed)


def _check_name(folder: Path, places: dict[str, Path]) -> None:
    if folder.name in places:
        raise UserError(
            f"two reports are called {folder.name}: {places[folder.name]} is the other",
            where=str(folder),
            fix="publish them into two folders, or rename one",
        )
    if folder.name in (PAGE, MANIFEST) or folder.name.startswith(".") or not folder.name:
        raise UserError("a report cannot be published under this name", where=str(folder), fix="rename the folder")


def _written_before(output: Path) -> set[str]:
    """The files that an earlier call wrote; only names inside the folder."""
    try:
        manifest = json.loads((output / MANIFEST).read_text("utf-8"))
        names = manifest["files"] if manifest["made_by"] == MADE_BY else ()
        return {name for name in names if isinstance(name, str) and is_inside(output, name)}
    except (OSError, ValueError, KeyError, TypeError):
        return set()


def _check_output(output: Path, before: set[str]) -> None:
    if output.exists() and not output.is_dir():
        raise UserError("the site must be a folder, and this is a file", where=str(output), fix="choose another --output")
    foreign = [path for path in sorted(output.rglob("*")) if path.is_symlink() or not path.is_dir()]
    foreign = [path for path in foreign if path.relative_to(output).as_posix() not in before]
    if foreign:
        raise UserError(
            f"the folder contains a file that `{MADE_BY}` did not write ({foreign[0].relative_to(output)})",
            where=str(output),
            fix="choose an empty folder with --output, or move that away",
        )


def _write(path: Path, content: bytes | Path) -> None:
    """Write bytes, or those of a report's file. Raises UserError where that file cannot be read."""
    if isinstance(content, Path):
        try:
            content = content.read_bytes()
        except OSError as error:
            raise UserError(
                f"the report's file cannot be read ({error.strerror})", where=str(content), fix=AGAIN
            ) from error
    write_atomic(path, content)


def _put_in_place(staged: Path, home: Path) -> None:
    """Rename the old folder away and the new one to its name; the old one comes back if that fails."""
    old = staged.with_suffix(".old")
    if home.exists():
        home.rename(old)
    try:
        staged.rename(home)
    except OSError:
        if old.exists():
            old.rename(home)
        raise
    shutil.rmtree(old, ignore_errors=True)


class Entry(NamedTuple):
    """A report on the index: its folder's name, what it says of itself, one of its files to look at, and all of them."""

    name: str
    title: str
    headline: list[str]
    missing: list[str]
    facts: str
    thumbnail: str | None
    files: list[str]


def read_entry(folder: Path) -> Entry:
    """Read a report's report.json. Raises UserError for a folder that is not a complete report."""
    path = folder / RECORD
    try:
        record = json.loads(path.read_text("utf-8"))
        files = record["files"]
        headline = [printable(str(sentence)) for sentence in record["headline"]]
        missing = [printable(str(sentence)) for sentence in record.get("missing", ())]
        title = printable(str(record.get("title") or record["suite"]))
    except OSError as error:
        raise UserError(f"not a report: {RECORD} is missing", where=str(folder), fix=AGAIN) from error
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise UserError(f"{RECORD} is damaged", where=str(path), fix=AGAIN) from error
    if not isinstance(files, list) or not all(isinstance(name, str) and is_inside(folder, name) for name in files):
        raise UserError(f"{RECORD} lists files outside of the report", where=str(path), fix=AGAIN)
    absent = [name for name in files if not (folder / name).is_file()]
    if absent or PAGE not in files:
        raise UserError(f"the report has no {(absent or [PAGE])[0]}", where=str(folder), fix=AGAIN)
    return Entry(folder.name, title, headline, missing, _facts(record), _thumbnail(files), sorted(set(files)))


def render_index(entries: Sequence[Entry]) -> bytes:
    """The index as UTF-8; everything that reports say is escaped. It has the looks of their pages."""
    environment = jinja2.Environment(
        autoescape=True, undefined=jinja2.StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
    own = resources.files("sgbench.report")
    template = environment.from_string((own / "site" / "site.html.j2").read_text("utf-8"))
    style = (own / "page" / "page.css").read_text("utf-8")
    return template.render(entries=entries, offered=OFFERED, page=PAGE, style=Markup(style)).encode()


def is_inside(folder: Path, name: str) -> bool:
    """Whether a name leads to a file below the folder, links followed."""
    plain = not any(map(is_control, name)) and max(len(part.encode()) for part in name.split("/")) <= LONGEST_PART
    inside = plain and ".." not in Path(name).parts
    return inside and (folder / name).resolve().is_relative_to(folder.resolve())


def _facts(record: dict[str, Any]) -> str:
    """How many cells and images, as far as the report says."""
    cells, images = record.get("cells"), record.get("samples")
    counted = [f"{cells:,} {'cell' if cells == 1 else 'cells'}"] if isinstance(cells, int) else []
    return ", ".join([*counted, *([f"{images:,} images each"] if isinstance(images, int) else [])])


def _thumbnail(files: Sequence[str]) -> str | None:
    """A frontier where there is one, else another figure.

    The shortest name is that of the first model by the first metric; png comes before svg.
    """
    figures = [name for name in files if name.endswith(DRAWN) and "/" not in name]
    return min(figures, key=lambda name: (not name.startswith(FRONTIER), len(name), name), default=None)
