"""Images of a cell in a results tree, as tests look at them."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from sgbench.cells.cell import Cell
from sgbench.results.store import Store, shard_sizes


def stored_images(store: Store, cell: Cell, samples: int) -> NDArray[np.uint8]:
    """The first `samples` images (samples, H, W, C), all of which must be there."""
    parts = []
    for number, count in shard_sizes(samples):
        shard = store.read_shard(cell, number)
        assert shard is not None
        assert len(shard.images) >= count
        parts.append(shard.images[:count])
    return np.concatenate(parts)
