"""What stands beside a cell's images once all of them are there: cost, picture, and no failure of fewer images."""

from __future__ import annotations

import io
import math

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from sgbench.cells.cell import Cell
from sgbench.cells.identity import cell_id
from sgbench.results.faults import RECORD
from sgbench.results.store import Store
from sgbench.run.cost_record import cost_record
from sgbench.sampling.networks import Networks

GALLERY_ROWS, GALLERY_COLUMNS = 2, 10


def cost_claim(cell: Cell) -> str:
    """The name under which a process claims a cell's cost.json."""
    return f"{cell_id(cell)} cost"


def is_recorded(cell: Cell, store: Store, samples: int) -> bool:
    """Whether cost and picture are of as many images as there are, and no failure of fewer images is left."""
    described = store.read_record(cell, "cell") is not None
    complete = described and _is_costed(cell, store, samples) and store.read_picture(cell, "gallery") is not None
    return complete and not _failed_before(cell, store, samples)


def record(cell: Cell, networks: Networks, store: Store, samples: int) -> None:
    """Write it for a cell whose first `samples` images are there, unless another process has.

    To be called by the holder of the cell's `cost_claim`.
    """
    if is_recorded(cell, store, samples):
        return
    first = store.read_shard(cell, 0)
    assert first is not None
    store.write_picture(cell, "gallery", gallery_png(first.images))
    # Seconds that `time` measured stay when only the picture was damaged.
    if not _is_costed(cell, store, samples):
        store.write_record(cell, "cost", cost_record(cell, networks, store, samples))
    if _failed_before(cell, store, samples):
        store.remove_record(cell, RECORD)


def _is_costed(cell: Cell, store: Store, samples: int) -> bool:
    cost = store.read_record(cell, "cost")
    return cost is not None and cost["images"] >= samples


def _failed_before(cell: Cell, store: Store, samples: int) -> bool:
    found = store.read_record(cell, RECORD)
    return found is not None and found.get("samples", 0) <= samples


def gallery_png(images: NDArray[np.uint8]) -> bytes:
    """The first twenty images (n, H, W, C) in two rows, as PNG; fewer where there are fewer."""
    count, height, width, channels = images[: GALLERY_ROWS * GALLERY_COLUMNS].shape
    rows = math.ceil(count / GALLERY_COLUMNS)
    sheet = np.zeros((rows * height, GALLERY_COLUMNS * width, channels), dtype=np.uint8)
    for index, image in enumerate(images[:count]):
        row, column = divmod(index, GALLERY_COLUMNS)
        sheet[row * height : (row + 1) * height, column * width : (column + 1) * width] = image
    buffer = io.BytesIO()
    Image.fromarray(sheet.squeeze(-1) if channels == 1 else sheet).save(buffer, "PNG", optimize=True)
    return buffer.getvalue()
