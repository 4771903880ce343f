"""One suite's results, from its files to what follows from them."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from sgbench.base.progress import Progress
from sgbench.cells.cell import Cell
from sgbench.doctor.derived import check_lock, check_protocols, check_rows
from sgbench.doctor.finding import Finding
from sgbench.doctor.payloads import check_features, check_shards
from sgbench.doctor.records import check_beside, check_identity
from sgbench.doctor.stray import check_stray
from sgbench.results.store import Store

MARKS = ("cells", "rows.csv", "suite.lock.yaml")


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
    """Every finding of one suite's results. Everything is read once, some of it twice."""
    store = Store(folder.parent, folder.name)
    yield from check_stray(store)
    locked = yield from check_lock(store)
    cells: dict[str, Cell] = {}
    folders = sorted(p for p in (folder / "cells").iterdir() if p.is_dir()) if (folder / "cells").is_dir() else []
    progress.begin("doctor", len(folders), "cell")
    for one in folders:
        if not one.is_symlink():
            cell = yield from check_identity(one, locked.get(one.name), store)
            shards = yield from check_shards(one, store)
            yield from check_features(one, shards, store)
            yield from check_beside(one, cell, shards, store)
            if cell is not None:
                cells[one.name] = cell
        progress.advance(1, f"{folder.name} {one.name}")
    progress.end()
    yield from check_protocols(store, cells)
    yield from check_rows(store, cells)
