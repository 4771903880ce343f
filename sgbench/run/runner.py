"""Run the cells of a suite: make what is missing, keep what is there, note what it cost."""

from __future__ import annotations

import io
import math
import time
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image

from sgbench.cost.clock import timed
from sgbench.cost.energy import EnergyMeter
from sgbench.cost.memory import peak_bytes, reset_peak
from sgbench.guidance import RULES
from sgbench.progress import Progress
from sgbench.run.cost_record import cost_record
from sgbench.run.device import describe_device
from sgbench.run.store import SHARD, Store, shard_sizes
from sgbench.sampling.engine import Networks, load_networks, sample
from sgbench.suite.cell import Cell

# On a CPU, larger batches spend a third of their time in page faults: 19 images/s at 125, 29 at 25 (CFG).
BATCH = {"cpu": 25, "cuda": SHARD}
Images = NDArray[np.uint8]
GALLERY_ROWS, GALLERY_COLUMNS = 2, 10


class RunSummary(NamedTuple):
    """What a run did."""

    cells: int
    images_made: int
    images_kept: int
    seconds: float


def run_cells(
    cells: Sequence[Cell],
    samples: int,
    store: Store,
    device: torch.device,
    progress: Progress,
    batch: int | None = None,
) -> RunSummary:
    """Bring every cell to `samples` images. The same call again continues where this one stopped.

    Raises UserError for a weight file that is missing or corrupt and for predictions that are not finite;
    what was finished before stays.
    """
    started = time.monotonic()
    size = batch or BATCH.get(device.type, SHARD)
    made = 0
    loaded: tuple[tuple[str, bool], Networks] | None = None
    progress.begin("run", len(cells) * samples, "image")
    for cell in cells:
        missing = _missing(store, cell, samples)
        kept = samples - sum(count - have for _, count, have in missing)
        if kept:
            progress.advance(kept, f"{cell.describe()} (kept)")
        if missing or not _is_recorded(cell, samples, store):
            key = (cell.model, RULES[cell.guidance.rule].needs_auxiliary)
            if loaded is None or loaded[0] != key:
                loaded = (key, load_networks(cell, device))
            _complete(cell, missing, loaded[1], store, device, size, progress)
            _record(cell, loaded[1], samples, store)
        made += samples - kept
    progress.end()
    return RunSummary(len(cells), made, len(cells) * samples - made, time.monotonic() - started)


def _is_recorded(cell: Cell, samples: int, store: Store) -> bool:
    """Whether cost and picture are of as many images as there are."""
    cost = store.read_record(cell, "cost")
    return cost is not None and cost["images"] >= samples and store.read_gallery(cell) is not None


def _record(cell: Cell, networks: Networks, samples: int, store: Store) -> None:
    first = store.read_shard(cell, 0)
    assert first is not None
    store.write_gallery(cell, gallery_png(first.images))
    store.write_record(cell, "cost", cost_record(cell, networks, store, samples))


def _missing(store: Store, cell: Cell, samples: int) -> list[tuple[int, int, int]]:
    """(shard number, images wanted, images there) of every shard that is not complete."""
    found = []
    for number, count in shard_sizes(samples):
        shard = store.read_shard(cell, number)
        have = 0 if shard is None else min(count, len(shard.images))
        if have < count:
            found.append((number, count, have))
    return found


def _complete(
    cell: Cell,
    missing: list[tuple[int, int, int]],
    networks: Networks,
    store: Store,
    device: torch.device,
    batch: int,
    progress: Progress,
) -> None:
    store.write_cell(cell)
    if missing:
        # Buffers and kernels of this cell's shapes are made here, not in the first measured batch.
        sample(cell, networks, range(batch), device)
    for number, count, have in missing:
        before = store.read_shard(cell, number) if have else None
        first = number * SHARD
        images, notes = _make(cell, networks, range(first + have, first + count), device, batch, progress)
        if before is not None:
            images = np.concatenate([before.images[:have], images])
            notes["batches"] = before.notes["batches"] + notes["batches"]
        store.write_shard(cell, number, images, notes)


def _make(
    cell: Cell, networks: Networks, indices: range, device: torch.device, batch: int, progress: Progress
) -> tuple[Images, dict[str, Any]]:
    """Images of `indices` and notes on how long, how much memory and how much energy they took."""
    meter = EnergyMeter(device)
    reset_peak(device)
    energy_before = meter.joules()
    parts, batches = [], []
    for start in range(0, len(indices), batch):
        chunk = indices[start : start + batch]
        images, seconds = timed(lambda chunk=chunk: sample(cell, networks, chunk, device), device)  # type: ignore[misc]
        parts.append(images.numpy())
        batches.append({"images": len(chunk), "seconds": round(seconds, 6), "device": describe_device(device)})
        progress.advance(len(chunk), cell.describe())
    energy_after = meter.joules()
    spent = None if energy_before is None or energy_after is None else energy_after - energy_before
    notes = {
        "batches": batches,
        "peak_bytes": peak_bytes(device),
        "joules": spent,
        "joules_images": len(indices),
    }
    return np.concatenate(parts), notes


def gallery_png(images: Images) -> bytes:
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
