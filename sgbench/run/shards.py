"""Make one shard of one cell: the unit of work of every engine."""

from __future__ import annotations

import contextlib
import math
from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray

from sgbench.base.errors import UserError
from sgbench.base.progress import Progress
from sgbench.base.signals import stop_if_asked
from sgbench.cells.cell import Cell
from sgbench.cells.identity import cell_id
from sgbench.cost.measured import EnergyMeter, peak_bytes, reset_peak, timed
from sgbench.models import catalogue
from sgbench.results.store import SHARD, Store, shard_sizes
from sgbench.results.verified_files import Shard
from sgbench.run.device import Batch, describe_device
from sgbench.sampling.conditions import labels_for
from sgbench.sampling.engine import SampledBatch, group_size, sample
from sgbench.sampling.networks import Networks

# A GPU takes as many tokens at a time as a shard of the embedded models has.
GPU_TOKENS = SHARD * 64
Images = NDArray[np.uint8]


class Gap(NamedTuple):
    """A shard that is not complete: its number, the images wanted in it and how many of them are missing."""

    number: int
    wanted: int
    missing: int


def missing_shards(store: Store, cell: Cell, samples: int) -> dict[int, Gap]:
    """The shards that are not complete, by their number."""
    found = {}
    for number, count in shard_sizes(samples):
        shard = store.read_shard(cell, number)
        missing = count if shard is None else count - len(shard.images)
        if missing > 0:
            found[number] = Gap(number, count, missing)
    return found


def shard_claim(cell: Cell, number: int) -> str:
    """The name under which a process claims a shard."""
    return f"{cell_id(cell)} shard {number}"


def batch_size(cell: Cell, device: torch.device, asked: int | None) -> Batch:
    """Images per batch: on a CPU whole groups, on a GPU as many as its memory should hold."""
    tokens = catalogue.entry(cell.model).architecture.grid_tokens
    if device.type == "cpu":
        group = group_size(tokens)
        return Batch(math.ceil((asked or group) / group) * group, least=group)
    return Batch(asked or max(1, GPU_TOKENS // tokens))


class ShardMaker:
    """Makes shards of one model's cells in one results tree, with networks that are loaded once."""

    def __init__(
        self, networks: Networks, store: Store, device: torch.device, batch: Batch, progress: Progress
    ) -> None:
        self.networks, self.store, self.device, self.batch, self.progress = networks, store, device, batch, progress
        self.made = 0
        """Images written, including those of interrupted shards."""
        self._warm: set[Cell] = set()

    def complete(self, cell: Cell, number: int, wanted: int) -> int:
        """Bring a shard to `wanted` images and return how many were made; 0 if it is complete already.

        The caller holds the shard's claim. Whatever stops it, finished batches are kept as a shorter shard. Raises
        CellError for predictions that are not finite and for memory that is too small.
        """
        before = self.store.read_shard(cell, number)
        there = 0 if before is None else len(before.images)
        if there >= wanted:
            return 0
        if cell not in self._warm:
            # Warm up: buffers and kernels of this cell's shapes are not part of the first measured batch.
            self.batch.draw(cell, lambda size: sample(cell, self.networks, range(size), self.device))
            self._warm.add(cell)
        drawing = _Drawing(range(number * SHARD + there, number * SHARD + wanted), before, self.device)
        try:
            self._draw(cell, drawing)
        except BaseException:
            if drawing.made:
                with contextlib.suppress(UserError):
                    self._keep(cell, number, drawing)
            raise
        self._keep(cell, number, drawing)
        return drawing.made

    def _keep(self, cell: Cell, number: int, drawing: _Drawing) -> None:
        self.store.write_shard(cell, number, *drawing.finished())
        self.made += drawing.made

    def _draw(self, cell: Cell, drawing: _Drawing) -> None:
        self.networks.conditions.prepare(labels_for(cell, drawing.indices))
        while drawing.left:
            stop_if_asked()

            def batch(size: int) -> tuple[SampledBatch, float]:
                # Batches end at multiples of their size, so that no group is generated twice.
                chunk = drawing.left[: size - drawing.left.start % size]
                return timed(lambda: sample(cell, self.networks, chunk, self.device), self.device)

            drawn, seconds = self.batch.draw(cell, batch)
            drawing.add(drawn, seconds)
            self.progress.advance(len(drawn.images), cell.describe())


class _Drawing:
    """A shorter shard, if any, and the finished images of `indices`: what they are, and the resources they took."""

    def __init__(self, indices: range, before: Shard | None, device: torch.device) -> None:
        self.indices, self.made, self._device = indices, 0, device
        self._parts: list[Images] = [] if before is None else [before.images]
        self._batches: list[dict[str, Any]] = [] if before is None else [*before.notes["batches"]]
        self._guided: list[int] = [] if before is None else [*before.notes.get("guided_evaluations", [])]
        self._meter = EnergyMeter(device)
        reset_peak(device)
        self._joules = self._meter.joules()

    @property
    def left(self) -> range:
        """The indices that are not finished."""
        return self.indices[self.made :]

    def add(self, drawn: SampledBatch, seconds: float) -> None:
        """Add the next batch."""
        self._parts.append(drawn.images.numpy())
        self._guided += drawn.guided
        self._batches.append(
            {
                # The seconds are for whole groups on a CPU.
                "images": drawn.made,
                "seconds": round(seconds - drawn.decode_seconds, 6),
                "decode_seconds": round(drawn.decode_seconds, 6),
                "device": describe_device(self._device),
            }
        )
        self.made += len(drawn.images)

    def finished(self) -> tuple[Images, dict[str, Any]]:
        """The images and the notes on them."""
        joules = self._meter.joules()
        spent = None if self._joules is None or joules is None else joules - self._joules
        notes: dict[str, Any] = {
            "batches": self._batches,
            "peak_bytes": peak_bytes(self._device),
            "joules": spent,
            "joules_images": self.made,
        }
        # Of a rule that stops guidance, by image.
        notes |= {"guided_evaluations": self._guided} if self._guided else {}
        return np.concatenate(self._parts), notes
