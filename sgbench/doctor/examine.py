"""The whole examination: every results tree and report asked for, and the installation; repairs where wanted."""

import json
import re
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

from sgbench.base.atomic import TEMPORARY, is_left_over
from sgbench.base.errors import UserError
from sgbench.base.progress import Progress, Silent
from sgbench.cells.cell import Cell
from sgbench.doctor.cell import check_cell
from sgbench.doctor.derived import check_lock, check_protocols, check_rows
from sgbench.doctor.finding import Finding, note
from sgbench.results.own_code import FILE as OWN_CODE
from sgbench.results.own_code import recall
from sgbench.results.store import Store

MARKS = ("cells", "rows.csv", "suite.lock.yaml")
# Paths below the suite's folder, as the store lays them out.
OURS = re.compile(
    r"suite\.lock\.yaml|rows\.(csv|parquet)(\.sha256)?|protocols\.json|own_code\.json|\.claims|\.writable"
    r"|cells/[0-9a-f]{16}/((cell|cost|scores|failure)\.json|(gallery|nearest)\.png"
    r"|shards/\d{5,}\.(npy|json)|features/[^/]+/\d{5,}\.(npz|json))"
)


class Diagnosis(NamedTuple):
    """Every finding and whether it was repaired; the trees examined; facts of the installation by name."""

    findings: list[tuple[Finding, bool]]
    trees: list[Path]
    facts: dict[str, str]

    @property
    def left(self) -> int:
        """Problems that are still there."""
        return sum(finding.problem and not repaired for finding, repaired in self.findings)

    def as_dict(self) -> dict[str, Any]:
        """The diagnosis as plain data."""
        return {
            "trees": [str(path) for path in self.trees],
            "installation": self.facts,
            "findings": [finding.as_dict(repaired) for finding, repaired in self.findings],
            "problems_left": self.left,
        }


def examine(
    results: Path,
    reports: Path | None = None,
    suites: Sequence[str] = (),
    *,
    repair: bool = False,
    installation: bool = True,
    progress: Progress | None = None,
    told: Callable[[Finding, bool], None] | None = None,
) -> Diagnosis:
    """Examine the suites below `results`, all unless named, their reports, and the installation.

    `told` is called with each finding as soon as it is certain, and with whether it was repaired. Raises UserError for
    a suite that has no results there.
    """
    progress = progress or Silent()
    trees = find_trees(results)
    names = sorted({path.name for path in trees})
    unknown = sorted(set(suites) - set(names))
    if unknown:
        fix = f"name one of: {', '.join(names) or 'none'}"
        raise UserError(f"there are no results of {unknown[0]!r}", where=str(results), fix=fix)
    chosen = [path for path in trees if not suites or path.name in suites]
    diagnosis = Diagnosis([], chosen, {})

    def settle(found: Finding) -> None:
        repaired = repair and found.repair is not None
        if repaired and found.repair is not None:
            found.repair()
        diagnosis.findings.append((found, repaired))
        if told is not None:
            told(found, repaired)

    if installation:
        from sgbench.doctor.installation import check_installation

        for one in check_installation(results, diagnosis.facts):
            settle(one)
    for folder in chosen:
        # All of a tree is examined before any of it is changed.
        for one in list(check_tree(folder, progress)):
            settle(one)
        for one in check_report(reports / folder.name) if reports is not None else ():
            settle(one)
    return diagnosis


def find_trees(results: Path) -> list[Path]:
    """The folders of suites below `results`, itself included, to a depth of two (`results/quick/fashion-mnist`)."""
    found: list[Path] = []
    level = [results] if results.is_dir() else []
    for _ in range(3):
        found += [folder for folder in level if _is_tree(folder)]
        level = [p for folder in level if not _is_tree(folder) for p in sorted(folder.iterdir()) if p.is_dir()]
    return found


def _is_tree(folder: Path) -> bool:
    return any((folder / name).exists() for name in MARKS)


def check_tree(folder: Path, progress: Progress) -> Iterator[Finding]:
    """Every finding of one suite's results, from the files to what follows from them."""
    store = Store(folder.parent, folder.name)
    yield from check_stray(store)
    try:
        recall(folder)
    except UserError as error:
        # Cells of a user's rules, samplers and models cannot be told without it.
        yield Finding(folder / OWN_CODE, error.what, "run the suite again, which writes it anew")
        return
    locked = yield from check_lock(store)
    cells: dict[str, Cell] = {}
    folders = sorted(p for p in (folder / "cells").iterdir() if p.is_dir()) if (folder / "cells").is_dir() else []
    progress.begin("doctor", len(folders), "cell")
    for one in folders:
        cell = None if one.is_symlink() else (yield from check_cell(one, locked.get(one.name), store))
        if cell is not None:
            cells[one.name] = cell
        progress.advance(1, f"{folder.name} {one.name}")
    progress.end()
    yield from check_protocols(store, cells)
    yield from check_rows(store, cells)


def check_stray(store: Store) -> Iterator[Finding]:
    """Findings of all files below a suite's folder that the store did not write."""
    root = store.folder.resolve()
    for path in sorted(_files_and_links(store.folder)):
        if path.is_symlink() and not path.resolve().is_relative_to(root):
            what = f"it is a link that leads out of the results, to {path.resolve()}"
            yield Finding(path, what, "put the files themselves there, or remove the link")
        elif path.name.endswith(".tmp") and path.name.startswith("."):
            if is_left_over(path) or not TEMPORARY.fullmatch(path.name):
                what = "a writer that was stopped left it half written under a temporary name"
                yield Finding(path, what, "--repair removes it", partial(store.discard, path))
            else:
                yield note(path, "it is being written, or was a moment ago", "look again once nothing is at work here")
        elif not OURS.fullmatch(path.relative_to(store.folder).as_posix()):
            yield note(path, "sgbench did not write this file", "nothing here reads it")


def _files_and_links(folder: Path) -> Iterator[Path]:
    """Files and links below a folder; links are not followed."""
    for path in folder.iterdir():
        if path.is_dir() and not path.is_symlink():
            yield from _files_and_links(path)
        else:
            yield path


def check_report(folder: Path) -> Iterator[Finding]:
    """Findings of a report: the files that its record lists are there."""
    path = folder / "report.json"
    if not folder.is_dir():
        return
    again = "`sgbench report` with its suite writes it again"
    try:
        files = [str(name) for name in json.loads(path.read_bytes())["files"]]
    except (OSError, ValueError, KeyError, TypeError, RecursionError):
        yield Finding(path, "it is missing or damaged", again)
        return
    missing = [name for name in files if not (folder / name).is_file()]
    if missing:
        yield Finding(folder / missing[0], f"it is missing, with {len(missing) - 1} more of its {len(files)}", again)
