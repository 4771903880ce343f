"""One cell's folder: what the cell is, its shards and features, its records and pictures."""

import hashlib
import itertools
import re
from collections.abc import Generator, Iterator
from functools import partial
from pathlib import Path
from typing import Any

from sgbench.cells.cell import Cell
from sgbench.cells.identity import named_cell, record_id
from sgbench.doctor.finding import RUN, SCORE, Finding, note
from sgbench.results.claims import FILE, Claims
from sgbench.results.store import Store, shard_sizes
from sgbench.results.verified_files import read_features, read_picture, read_record, read_shard

FEATURES = "`sgbench score` makes it again when a score needs it"
GONE = "its images are gone: bring it back from a copy, or run and score the suite again"
REMEDIES = {
    "cost.json": RUN,
    "scores.json": SCORE,
    "failure.json": "`sgbench run` with its suite tries the cell again",
    "gallery.png": RUN,
    "nearest.png": "`sgbench nearest` draws it again",
}
NUMBERED = re.compile(r"\d{5,}")
Notes = dict[int, dict[str, Any]]
"""Notes of a cell's sound shards, by number."""


def check_cell(folder: Path, locked: Cell | None, store: Store) -> Generator[Finding, None, Cell | None]:
    """Findings of one cell's folder; the cell that it holds is returned, None where this machine cannot name it.

    `locked` is the cell of that id in the suite's lock, from which a damaged record can be written again.
    """
    cell = yield from _check_identity(folder, locked, store)
    shards = yield from _check_shards(folder, store)
    yield from _check_features(folder, shards, store)
    yield from _check_records(folder, cell, shards, store)
    return cell


def _check_identity(folder: Path, locked: Cell | None, store: Store) -> Generator[Finding, None, Cell | None]:
    path = folder / "cell.json"
    record = read_record(path)
    if record.content is not None and record_id(record.content) == folder.name:
        cell = named_cell(record.content, folder.name)
        if cell is None:
            yield note(path, "this version and these weights do not name the cell", "nothing here reads it")
        return cell
    what = f"it is damaged: {record.problem}" if record.problem else "it is missing"
    if record.content is not None:
        what = "its content gives another id than its folder's name"
    repair = None if locked is None else partial(store.write_cell, locked)
    yield Finding(path, what, RUN if repair is None else "--repair writes it again from suite.lock.yaml", repair)
    return locked


def _check_shards(folder: Path, store: Store) -> Generator[Finding, None, Notes]:
    sound: Notes = {}
    for path in _payloads(folder / "shards", ".npy"):
        found = read_shard(path)
        if found.problem and not _is_claimed(store.folder, f"{folder.name} shard {int(path.stem)}"):
            # It may have been finished since.
            found = read_shard(path)
            if found.problem:
                yield _removable(found.problem, RUN, store, path, path.with_suffix(".json"))
        if found.content is not None:
            sound[int(path.stem)] = found.content.notes
    return sound


def _check_features(folder: Path, shards: Notes, store: Store) -> Iterator[Finding]:
    for extractor in sorted(path for path in folder.glob("features/*") if path.is_dir()):
        for path in _payloads(extractor, ".npz"):
            found, shard = read_features(path), shards.get(int(path.stem))
            problem = found.problem
            if found.content is not None and shard is not None and found.content.shard_sha256 != shard["sha256"]:
                problem = "the features are of other images than the shard's"
            if problem:
                yield _removable(problem, FEATURES, store, path, path.with_suffix(".json"))


def _payloads(folder: Path, suffix: str) -> list[Path]:
    """The paths of all payloads in a folder, there or only noted."""
    found = folder.iterdir() if folder.is_dir() else ()
    return sorted(
        {p.with_suffix(suffix) for p in found if NUMBERED.fullmatch(p.stem) and p.suffix in (suffix, ".json")}
    )


def _check_records(folder: Path, cell: Cell | None, shards: Notes, store: Store) -> Iterator[Finding]:
    """Findings of cost.json, scores.json, failure.json and the pictures."""
    there = sum(shards[number]["images"] for number in itertools.takewhile(shards.__contains__, itertools.count()))
    records = {name: read_record(folder / name) for name in ("cost.json", "scores.json", "failure.json")}
    problems = {name: found.problem for name, found in records.items()}
    problems |= {name: read_picture(folder / name).problem for name in ("gallery.png", "nearest.png")}
    for name, problem in problems.items():
        if problem and (there or name == "failure.json"):
            yield _removable(f"it is damaged: {problem}", REMEDIES[name], store, folder / name)
        elif problem:
            yield Finding(folder / name, f"it is damaged: {problem}", GONE)
    cost, scores = records["cost.json"], records["scores.json"]
    if shards and cost.content is None and not cost.problem:
        yield Finding(folder / "cost.json", "it is missing", RUN)
    wanted = cost.content.get("images", 0) if cost.content else 0
    if shards and there < wanted:
        yield Finding(folder, f"{there} of {wanted} images are there", "`sgbench run` with its suite makes the others")
    if shards and cost.content and not (folder / "gallery.png").is_file():
        yield Finding(folder / "gallery.png", "it is missing", RUN)
    if cell is None:
        return
    for samples, entry in (scores.content or {}).items():
        scored = entry.get("images_sha256") if isinstance(entry, dict) and samples.isdigit() else None
        if scored and int(samples) <= there and scored != _pixels_sha256(cell, int(samples), store):
            what = f"the scores at {samples} images do not match the images on disk"
            yield Finding(folder / "scores.json", what, "`sgbench score` with its suite computes them again")


def _pixels_sha256(cell: Cell, samples: int, store: Store) -> str:
    state = hashlib.sha256()
    for number, count in shard_sizes(samples):
        shard = store.read_shard(cell, number)
        if shard is not None:
            state.update(shard.images[:count].tobytes())
    return state.hexdigest()


def _removable(what: str, remedy: str, store: Store, *paths: Path) -> Finding:
    return Finding(paths[0], what, f"--repair removes it; {remedy}", partial(store.discard, *paths))


def _is_claimed(folder: Path, unit: str) -> bool:
    """Whether another process is at work on it."""
    if not (folder / FILE).is_file():
        return False
    with Claims(folder).held(unit) as mine:
        return not mine
