"""What stands beside a cell's shards: what it is, what it costs, its scores, its pictures."""

from __future__ import annotations

import hashlib
from collections.abc import Generator, Iterator
from functools import partial
from pathlib import Path

from sgbench.base.errors import UserError
from sgbench.base.png import is_whole
from sgbench.cells.cell import Cell
from sgbench.cells.identity import cell_id, cell_of, record_id
from sgbench.doctor.finding import RUN, SCORE, Finding, note
from sgbench.doctor.payloads import Shards
from sgbench.results.checksummed_json import Record, read_record
from sgbench.results.store import Store, shard_sizes

GONE = "its images are gone: bring it back from a copy, or run and score the suite again"


def check_identity(folder: Path, locked: Cell | None, store: Store) -> Generator[Finding, None, Cell | None]:
    """Findings of cell.json; the cell that it names on this machine, or None, is returned.

    `locked` is the cell of that id in the suite's lock, from which a damaged record can be written again.
    """
    path = folder / "cell.json"
    record = read_record(path)
    repair = None if locked is None else partial(store.write_cell, locked)
    remedy = RUN if repair is None else "--repair writes it again from suite.lock.yaml"
    if record.content is None:
        yield Finding(path, f"it is damaged: {record.problem}" if record.problem else "it is missing", remedy, repair)
        return locked
    if _content_id(record) != folder.name:
        yield Finding(path, "its content gives another id than its folder's name", remedy, repair)
        return locked
    try:
        cell = cell_of(record.content)
    except (KeyError, TypeError, ValueError, UserError):
        cell = None
    if cell is None or not _is_named(cell, folder.name):
        yield note(path, "this version and these weights do not name the cell", "nothing here reads it")
        return None
    return cell


def check_beside(folder: Path, cell: Cell | None, shards: Shards, store: Store) -> Iterator[Finding]:
    """Findings of cost.json, scores.json, failure.json and the pictures."""
    there = shards.run_of_images()
    cost = yield from _record(folder, "cost", there > 0, RUN, store)
    if shards.images and cost.content is None and not cost.problem:
        yield Finding(folder / "cost.json", "it is missing", RUN)
    wanted = cost.content.get("images", 0) if cost.content else 0
    if shards.images and there < wanted:
        yield Finding(folder, f"{there} of {wanted} images are there", "`sgbench run` with its suite makes the others")
    scores = yield from _record(folder, "scores", there > 0, SCORE, store)
    if cell is not None and scores.content:
        yield from _check_scored(folder, cell, scores, there, store)
    yield from _record(folder, "failure", True, "`sgbench run` with its suite tries the cell again", store)
    for name, again in (("gallery", RUN), ("nearest", "`sgbench nearest` draws it again")):
        path = folder / f"{name}.png"
        if path.is_file() and not is_whole(path.read_bytes()):
            yield _damaged(path, "its checksums do not agree", there > 0, again, store)
    if cost.content and shards.images and not (folder / "gallery.png").is_file():
        yield Finding(folder / "gallery.png", "it is missing", RUN)


def _record(folder: Path, name: str, again: bool, how: str, store: Store) -> Generator[Finding, None, Record]:
    path = folder / f"{name}.json"
    record = read_record(path)
    if record.problem:
        yield _damaged(path, record.problem, again, how, store)
    return record


def _damaged(path: Path, problem: str, again: bool, how: str, store: Store) -> Finding:
    if not again:
        return Finding(path, f"it is damaged: {problem}", GONE)
    return Finding(path, f"it is damaged: {problem}", f"--repair removes it; {how}", partial(store.discard, path))


def _check_scored(folder: Path, cell: Cell, scores: Record, there: int, store: Store) -> Iterator[Finding]:
    """Scores belong to the images that are there, where as many are."""
    for samples, found in (scores.content or {}).items():
        told = isinstance(found, dict) and found.get("images_sha256")
        if not samples.isdigit() or not told or int(samples) > there:
            continue
        if told != _pixels_sha256(cell, int(samples), store):
            what = f"the scores at {samples} images are of other images than are there"
            yield Finding(folder / "scores.json", what, "`sgbench score` with its suite computes them anew")


def _pixels_sha256(cell: Cell, samples: int, store: Store) -> str:
    state = hashlib.sha256()
    for number, count in shard_sizes(samples):
        shard = store.read_shard(cell, number)
        if shard is not None:
            state.update(shard.images[:count].tobytes())
    return state.hexdigest()


def _content_id(record: Record) -> str:
    try:
        return record_id(record.content or {})
    except (TypeError, ValueError):
        return ""


def _is_named(cell: Cell, name: str) -> bool:
    try:
        return cell_id(cell) == name
    except (KeyError, TypeError, ValueError, AttributeError, UserError):
        return False
