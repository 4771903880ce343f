"""Features of a cell's images, shard by shard: made once per extractor, kept with the digest of their shard."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from sgbench.cells.cell import Cell
from sgbench.metrics.extractors.extract import Arrays, Loaded
from sgbench.metrics.weights import extractor_id
from sgbench.results.store import Store, shard_sizes
from sgbench.score.cell_images import CellImages

Load = Callable[[str], Loaded]


def cell_features(extractor: str, cell: Cell, store: Store, samples: int, load: Load) -> Arrays:
    """Outputs of an extractor for the first images of a cell. Raises IncompleteError where images are missing."""
    parts = []
    for number, count in shard_sizes(samples):
        found = shard_features(extractor, cell, number, store, load)
        if found is None or len(next(iter(found.values()))) < count:
            raise CellImages(cell, store, samples).incomplete()
        parts.append({name: array[:count] for name, array in found.items()})
    return {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}


def shard_features(extractor: str, cell: Cell, number: int, store: Store, load: Load) -> Arrays | None:
    """Outputs for all images of a shard, kept or made; None where the shard is not there or damaged."""
    name = f"{extractor}-{extractor_id(extractor)}"
    noted = store.shard_sha256(cell, number)
    kept = None if noted is None else store.read_features(cell, name, number, noted)
    if kept is not None:
        return kept
    shard = store.read_shard(cell, number)
    if shard is None:
        return None
    made = load(extractor)([shard.images], f"{store.cell_folder(cell)} ({cell.describe()})")
    store.write_features(cell, name, number, made, shard.notes["sha256"])
    return made
