"""A folder for any static host: the reports of several suites, and an index over them.

    <output>/
      index.html        what each suite found, with links
      <report>/...      the files that the report.json of that report lists, no others
      .nojekyll         so that hosts which rewrite pages leave these alone
      site.json         the files written here: what a later call may replace and remove

Links are relative and nothing carries a date: the same reports give the same bytes.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from importlib import resources
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import quote

import jinja2
from markupsafe import Markup

from sgbench.atomic import refusal, write_atomic
from sgbench.errors import UserError
from sgbench.printable import printable, steers

RECORD, PAGE, MANIFEST, NO_JEKYLL = "report.json", "index.html", "site.json", ".nojekyll"
THUMBNAILS = (".png", ".svg")
# Bytes of a file's name.
LONGEST_PART = 255


class Site(NamedTuple):
    """The index, how many reports and files it is over, how many of these were written now, and what was removed."""

    page: Path
    reports: int
    files: int
    written: int
    removed: int

    def as_dict(self) -> dict[str, Any]:
        """The counts as plain data."""
        return {**self._asdict(), "page": str(self.page)}


class Entry(NamedTuple):
    """A report on the index: its folder's name, what it says of itself, its files, and one of them to look at."""

    name: str
    title: str
    headline: str
    cells: int | None
    thumbnail: str | None
    files: list[str]

    @property
    def address(self) -> str:
        """The page of the report, relative to the index."""
        return quote(f"{self.name}/{PAGE}")

    @property
    def picture(self) -> str | None:
        """The thumbnail, relative to the index."""
        return None if self.thumbnail is None else quote(f"{self.name}/{self.thumbnail}")


def find_reports(reports: Path) -> list[Path]:
    """The report folders directly below `reports`, by name. Raises UserError where there are none.

    A folder that holds nothing but folders is taken for another set of reports and passed over.
    """
    below = sorted(path for path in reports.glob("*") if path.is_dir() and not path.name.startswith("."))
    found = [path for path in below if any(inner.is_file() for inner in path.iterdir())]
    if not found:
        raise UserError("there are no reports", where=str(reports), fix="run `sgbench report SUITE` first")
    return found


def publish(folders: Sequence[Path], output: Path) -> Site:
    """Copy the reports in `folders` into `output` and write an index over them, in their order.

    What an earlier call wrote there and no report lists any more is removed. Raises UserError for a folder that is no
    report or lacks a file of it, for two of one name, and for an `output` that holds anything of somebody else's.
    """
    places: dict[str, Path] = {}
    for folder in dict.fromkeys(folder.resolve() for folder in folders):
        _check_name(folder, places)
        places[folder.name] = folder
    entries = [read_entry(folder) for folder in places.values()]
    before = _written_before(output)
    _check_output(output, before)
    sources = {f"{e.name}/{file}": places[e.name] / file for e in entries for file in e.files}
    own = {PAGE: render_index(entries), NO_JEKYLL: b""}
    names = {*sources, *own, MANIFEST}
    try:
        # The manifest comes first: whatever a call that is cut short leaves behind is known to the next.
        _write(output / MANIFEST, _manifest(names | before))
        written = sum(_write(output / name, source.read_bytes()) for name, source in sources.items())
        written += sum(_write(output / name, content) for name, content in own.items())
        gone = [name for name in sorted(before - names) if _remove(output, name)]
        _write(output / MANIFEST, _manifest(names))
    except OSError as error:
        where = Path(str(error.filename or output))
        fix = "make room, mend the permissions, or choose another folder with --output"
        raise refusal(error, "the site cannot be written", where=where, fix=fix) from error
    return Site(output / PAGE, len(entries), len(names), written, len(gone))


def read_entry(folder: Path) -> Entry:
    """What a report says of itself. Raises UserError for a folder that is none, or not whole."""
    again = "write it again with `sgbench report SUITE`"
    path = folder / RECORD
    try:
        record = json.loads(path.read_text())
        files = record["files"]
        headline = [printable(str(sentence)) for sentence in record["headline"]]
        title = printable(str(record.get("title") or record["suite"]))
    except OSError as error:
        raise UserError(f"this is no report: it has no {RECORD}", where=str(folder), fix=again) from error
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise UserError(f"{RECORD} is damaged", where=str(path), fix=again) from error
    if not isinstance(files, list) or not all(isinstance(name, str) and _is_inside(folder, name) for name in files):
        raise UserError(f"{RECORD} lists files outside of the report", where=str(path), fix=again)
    absent = [name for name in files if not (folder / name).is_file()]
    if absent or PAGE not in files:
        raise UserError(f"the report has no {(absent or [PAGE])[0]}", where=str(folder), fix=again)
    cells = record.get("cells")
    frontiers = [name for name in files if name.startswith("frontier") and name.endswith(THUMBNAILS)]
    # The shortest name is that of the first model by the first metric; png comes before svg.
    thumbnail = min(frontiers, key=lambda name: (len(name), name), default=None)
    first = headline[0] if headline else ""
    return Entry(folder.name, title, first, cells if isinstance(cells, int) else None, thumbnail, sorted(set(files)))


def render_index(entries: Sequence[Entry]) -> bytes:
    """The index as UTF-8; everything that reports say is escaped. It has the looks of their pages."""
    environment = jinja2.Environment(autoescape=True, undefined=jinja2.StrictUndefined, trim_blocks=True)
    own = resources.files("sgbench.report")
    template = environment.from_string((own / "site.html.j2").read_text("utf-8"))
    style = (own / "page" / "page.css").read_text("utf-8")
    return template.render(entries=entries, style=Markup(style)).encode()


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
        names = json.loads((output / MANIFEST).read_text())["files"]
    except (OSError, ValueError, KeyError, TypeError, RecursionError):
        return set()
    return {name for name in names if isinstance(name, str) and _is_inside(output, name)}


def _check_output(output: Path, before: set[str]) -> None:
    if output.exists() and not output.is_dir():
        raise UserError("the site is a folder, and this is a file", where=str(output), fix="choose another --output")
    foreign = [path for path in sorted(output.rglob("*")) if path.is_symlink() or not path.is_dir()]
    foreign = [path for path in foreign if path.relative_to(output).as_posix() not in before]
    if foreign:
        raise UserError(
            f"the folder holds what `sgbench publish` did not write ({foreign[0].relative_to(output)})",
            where=str(output),
            fix="choose an empty folder with --output, or move that away",
        )


def _is_inside(folder: Path, name: str) -> bool:
    """Whether a name leads to a file below the folder, links followed."""
    plain = not any(map(steers, name)) and max(len(part.encode()) for part in name.split("/")) <= LONGEST_PART
    inside = plain and ".." not in Path(name).parts
    return inside and (folder / name).resolve().is_relative_to(folder.resolve())


def _manifest(names: set[str]) -> bytes:
    return (json.dumps({"made_by": "sgbench publish", "files": sorted(names)}, indent=1) + "\n").encode()


def _write(path: Path, content: bytes) -> bool:
    """Write a file unless it is there already; whether it was written."""
    if path.is_file() and path.read_bytes() == content:
        return False
    write_atomic(path, content)
    return True


def _remove(output: Path, name: str) -> bool:
    """Remove a file and the folders that it leaves empty; whether it was there."""
    path = output / name
    if not path.is_file():
        return False
    path.unlink()
    for parent in list(path.relative_to(output).parents)[:-1]:
        if any((output / parent).iterdir()):
            break
        (output / parent).rmdir()
    return True
