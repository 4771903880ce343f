"""Run the cells of a suite: make what is missing, keep what is there, note what it cost."""

from __future__ import annotations

import io
import itertools
import math
import time
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image

from sgbench.cost.clock import timed
from sgbench.cost.energy import EnergyMeter
from sgbench.cost.memory import peak_bytes, reset_peak
from sgbench.guidance import RULES
from sgbench.models import catalogue
from sgbench.models.autoencoder_files import NONE, NOT_FETCHED, autoencoder_sha256, missing
from sgbench.models.loading import present
from sgbench.models.text_encoder_files import require_text_encoder
from sgbench.progress import Progress
from sgbench.run.cost_record import cost_record
from sgbench.run.device import describe_device
from sgbench.run.store import SHARD, Store, shard_sizes
from sgbench.sampling.conditions import asked
from sgbench.sampling.engine import group_size, sample
from sgbench.sampling.networks import Networks, load_networks
from sgbench.suite.cell import Cell
from sgbench.suite.prompts import load_prompts

# A GPU takes as many tokens at a time as a shard of the embedded models has.
GPU_TOKENS = SHARD * 64
Images = NDArray[np.uint8]
OnShard = Callable[[Cell, int], None]
GALLERY_ROWS, GALLERY_COLUMNS = 2, 10


class Gap(NamedTuple):
    """A shard that is not complete: its number, the images wanted in it and the images there."""

    number: int
    wanted: int
    there: int

    @property
    def missing(self) -> int:
        """Images to make."""
        return self.wanted - self.there


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
    on_shard: OnShard | None = None,
) -> RunSummary:
    """Bring every cell to `samples` images. The same call again continues where this one stopped.

    `on_shard` is told of every shard as it is finished.

    Raises UserError for a weight file that is missing or corrupt and for predictions that are not finite;
    what was finished before stays.
    """
    started = time.monotonic()
    made = 0
    check_weights(cells)
    progress.begin("run", len(cells) * samples, "image")
    for model in dict.fromkeys(cell.model for cell in cells):
        mine = [cell for cell in cells if cell.model == model]
        made += _run_model(mine, samples, store, device, progress, batch_size(mine[0], device, batch), on_shard)
    progress.end()
    return RunSummary(len(cells), made, len(cells) * samples - made, time.monotonic() - started)


def check_weights(cells: Sequence[Cell]) -> None:
    """Miss a file before the first image is made, not when its turn comes."""
    for cell in cells:
        entry = catalogue.entry(cell.model)
        present(entry, entry.main)
        if RULES[cell.guidance.rule].needs_auxiliary and entry.auxiliary is not None:
            present(entry, entry.auxiliary)
        if cell.autoencoder not in ("", NONE) and autoencoder_sha256(cell.autoencoder) == NOT_FETCHED:
            raise missing(cell.autoencoder)
        if cell.text_encoder not in ("", NONE):
            require_text_encoder(cell.text_encoder)
        if cell.prompts:
            load_prompts(cell.prompts)


def batch_size(cell: Cell, device: torch.device, asked: int | None) -> int:
    """Images drawn between two readings of the clock: on a CPU whole groups, on a GPU what it may hold."""
    tokens = catalogue.entry(cell.model).architecture.grid_tokens
    if device.type == "cpu":
        group = group_size(tokens)
        return math.ceil((asked or group) / group) * group
    return asked or max(1, GPU_TOKENS // tokens)


def _run_model(
    cells: Sequence[Cell],
    samples: int,
    store: Store,
    device: torch.device,
    progress: Progress,
    batch: int,
    on_shard: OnShard | None,
) -> int:
    """Complete the cells of one model and return how many images that took.

    The cells take turns, a shard each: a machine that slows down for a while slows all of them, so their seconds
    stay comparable, and a run that is interrupted leaves every cell with about as many images.
    """
    missing = {cell: _missing(store, cell, samples) for cell in cells}
    made = 0
    for cell, gaps in missing.items():
        wanted = sum(gap.missing for gap in gaps.values())
        made += wanted
        if samples > wanted:
            progress.advance(samples - wanted, f"{cell.describe()} (kept)")
    stale = [cell for cell in cells if missing[cell] or not _is_recorded(cell, samples, store)]
    if not stale:
        return made
    auxiliary = any(RULES[cell.guidance.rule].needs_auxiliary for cell in stale)
    networks = load_networks(cells[0], auxiliary, device)
    for cell in stale:
        store.write_cell(cell)
    warm: set[Cell] = set()
    for number, _ in shard_sizes(samples):
        for cell in stale:
            gap = missing[cell].get(number)
            if gap is None:
                continue
            if cell not in warm:
                # Buffers and kernels of this cell's shapes are made here, not in the first measured batch.
                sample(cell, networks, range(batch), device)
                warm.add(cell)
            _complete(cell, gap, networks, store, device, batch, progress)
            if on_shard is not None:
                on_shard(cell, number)
    for cell in stale:
        _record(cell, networks, samples, store)
    return made


def _is_recorded(cell: Cell, samples: int, store: Store) -> bool:
    """Whether cost and picture are of as many images as there are."""
    cost = store.read_record(cell, "cost")
    return cost is not None and cost["images"] >= samples and store.read_gallery(cell) is not None


def _record(cell: Cell, networks: Networks, samples: int, store: Store) -> None:
    first = store.read_shard(cell, 0)
    assert first is not None
    store.write_gallery(cell, gallery_png(first.images))
    store.write_record(cell, "cost", cost_record(cell, networks, store, samples))


def _missing(store: Store, cell: Cell, samples: int) -> dict[int, Gap]:
    """The shards that are not complete, by their number."""
    found = {}
    for number, count in shard_sizes(samples):
        shard = store.read_shard(cell, number)
        have = 0 if shard is None else min(count, len(shard.images))
        if have < count:
            found[number] = Gap(number, count, have)
    return found


def _complete(
    cell: Cell,
    gap: Gap,
    networks: Networks,
    store: Store,
    device: torch.device,
    batch: int,
    progress: Progress,
) -> None:
    before = store.read_shard(cell, gap.number) if gap.there else None
    first = gap.number * SHARD
    images, notes = _make(cell, networks, range(first + gap.there, first + gap.wanted), device, batch, progress)
    if before is not None:
        images = np.concatenate([before.images[: gap.there], images])
        notes["batches"] = before.notes["batches"] + notes["batches"]
    store.write_shard(cell, gap.number, images, notes)


def _make(
    cell: Cell, networks: Networks, indices: range, device: torch.device, batch: int, progress: Progress
) -> tuple[Images, dict[str, Any]]:
    """Images of `indices` and notes on how long, how much memory and how much energy they took."""
    networks.conditions.prepare(asked(cell, indices))
    meter = EnergyMeter(device)
    reset_peak(device)
    energy_before = meter.joules()
    parts, batches = [], []
    # At multiples of the batch, so that no group is drawn for two chunks.
    inner = range((indices.start // batch + 1) * batch, indices.stop, batch)
    for first, last in itertools.pairwise([indices.start, *inner, indices.stop]):
        chunk = range(first, last)
        drawn, seconds = timed(lambda chunk=chunk: sample(cell, networks, chunk, device), device)  # type: ignore[misc]
        parts.append(drawn.images.numpy())
        batches.append(
            {
                # What the seconds are for: a CPU draws whole groups.
                "images": drawn.made,
                "seconds": round(seconds - drawn.decode_seconds, 6),
                "decode_seconds": round(drawn.decode_seconds, 6),
                "device": describe_device(device),
            }
        )
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
