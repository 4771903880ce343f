"""A folder for any static host: the reports of several suites, and an index over them.

    <output>/
      index.html        what each suite found, with links
      <report>/...      the files that the report.json of that report lists, no others
      .nojekyll         so that hosts which rewrite pages leave these alone
      site.json         the files written here: what a later call may replace

Links are relative and nothing carries a date: the same reports give the same bytes. The folder is made beside the old
one and takes its place when it is whole, so a call that fails or is cut short leaves the old one as it was.
"""

from __future__ import annotations

import filecmp
import json
import shutil
import uuid
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

from sgbench.base.atomic import refusal, write_atomic
from sgbench.base.errors import UserError
from sgbench.report.site.index import AGAIN, PAGE, is_inside, read_entry, render_index

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

    Passed over are a folder that holds nothing but folders, which is another set of reports, and a published site.
    """
    below = sorted(path for path in reports.glob("*") if path.is_dir() and not path.name.startswith("."))
    found = [path for path in below if any(inner.is_file() for inner in path.iterdir()) and not _written_before(path)]
    if not found:
        raise UserError("there are no reports", where=str(reports), fix="run `sgbench report SUITE` first")
    return found


def publish(folders: Sequence[Path], output: Path) -> Site:
    """Copy the reports in `folders` into `output`, with an index over them in their order, in place of an earlier site.

    Raises UserError for a folder that is no report or lacks a file of it, for two of one name, for an `output` that
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
