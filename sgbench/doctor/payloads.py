"""Shards and features of one cell: payloads with notes beside them, verified by digest, one by one."""

from __future__ import annotations

import hashlib
import io
import re
from collections.abc import Generator, Iterator
from functools import partial
from pathlib import Path
from typing import NamedTuple

import numpy as np

from sgbench.doctor.finding import RUN, Finding
from sgbench.results.checksummed_json import Record, read_record
from sgbench.results.claims import FILE, Claims
from sgbench.results.store import FEATURE_NOTES, SHARD_NOTES, Store

AGAIN = "`sgbench score` makes it again when a score needs it"
NUMBERED = re.compile(r"\d{5,}")


class Shards(NamedTuple):
    """What is sound of a cell's shards: digest and images of each by number, and the digest of all pixels in order."""

    digests: dict[int, str]
    images: dict[int, int]

    def run_of_images(self) -> int:
        """Images from the first on without a gap."""
        found = 0
        for number in range(len(self.images)):
            if number not in self.images:
                break
            found += self.images[number]
        return found


def check_shards(cell: Path, store: Store) -> Generator[Finding, None, Shards]:
    """Findings of a cell's shards; what is sound is returned."""
    digests: dict[int, str] = {}
    images: dict[int, int] = {}
    for stem in _stems(cell / "shards", ".npy"):
        payload, notes = cell / "shards" / f"{stem}.npy", cell / "shards" / f"{stem}.json"
        what, record = _shard(payload, notes)
        if what and not _is_claimed(store.folder, f"{cell.name} shard {int(stem)}"):
            # It may have been finished since.
            what, record = _shard(payload, notes)
            if what:
                yield _removable(payload, notes, what, RUN, store)
        if not what and record.content is not None:
            digests[int(stem)], images[int(stem)] = record.content["sha256"], record.content["images"]
    return Shards(digests, images)


def check_features(cell: Path, shards: Shards, store: Store) -> Iterator[Finding]:
    """Findings of all features of a cell, of whatever extractor."""
    folder = cell / "features"
    for extractor in sorted(p for p in folder.iterdir() if p.is_dir()) if folder.is_dir() else []:
        for stem in _stems(extractor, ".npz"):
            payload, notes = extractor / f"{stem}.npz", extractor / f"{stem}.json"
            what, record = _features(payload, notes)
            shard = shards.digests.get(int(stem))
            if not what and record.content is not None and shard not in (None, record.content["shard_sha256"]):
                what = "the features are of other images than the shard's"
            if what:
                yield _removable(payload, notes, what, AGAIN, store)


def _stems(folder: Path, suffix: str) -> list[str]:
    """The numbers of all payloads and notes in a folder."""
    if not folder.is_dir():
        return []
    return sorted({p.stem for p in folder.iterdir() if NUMBERED.fullmatch(p.stem) and p.suffix in (suffix, ".json")})


def _shard(payload: Path, notes: Path) -> tuple[str, Record]:
    what, record, content = _pair(payload, notes, SHARD_NOTES, "shard")
    if what or record.content is None:
        return what, record
    try:
        images = np.load(io.BytesIO(content), allow_pickle=False)
    except (ValueError, EOFError):
        return "the shard is no array", record
    if images.dtype != np.uint8 or images.ndim != 4 or len(images) != record.content["images"]:
        return f"the notes are of {record.content['images']} images, and the shard holds {images.shape}", record
    return "", record


def _features(payload: Path, notes: Path) -> tuple[str, Record]:
    what, record, content = _pair(payload, notes, FEATURE_NOTES, "features")
    if not what:
        try:
            with np.load(io.BytesIO(content), allow_pickle=False) as arrays:
                lengths = {len(arrays[name]) for name in arrays.files}
        except (ValueError, EOFError, OSError):
            return "the features are no arrays", record
        what = "" if len(lengths) == 1 else "the features are of different numbers of images"
    return what, record


def _pair(payload: Path, notes: Path, kinds: dict[str, type], name: str) -> tuple[str, Record, bytes]:
    """What is wrong with a payload and its notes, if anything; the notes; the payload."""
    record = read_record(notes)
    content = payload.read_bytes() if payload.is_file() else None
    if content is None:
        return f"the {name} is missing, and its notes are there", record, b""
    if record.content is None:
        return f"the notes of the {name} {_said(record)}", record, content
    if any(type(record.content.get(key)) is not kind for key, kind in kinds.items()):
        return f"the notes of the {name} lack something", record, content
    if hashlib.sha256(content).hexdigest() != record.content["sha256"]:
        return f"the {name} has another digest than its notes say", record, content
    return "", record, content


def _said(record: Record) -> str:
    return f"are damaged ({record.problem})" if record.problem else "are missing"


def _removable(payload: Path, notes: Path, what: str, remedy: str, store: Store) -> Finding:
    where = payload if payload.exists() else notes
    return Finding(where, what, f"--repair removes it; {remedy}", partial(store.discard, payload, notes))


def _is_claimed(folder: Path, unit: str) -> bool:
    """Whether another process is at work on it."""
    if not (folder / FILE).is_file():
        return False
    with Claims(folder).held(unit) as mine:
        return not mine
