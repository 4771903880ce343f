"""Run the cells of a suite: make what is missing, keep what is there, note what it cost."""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import Any, NamedTuple

import torch

from sgbench.base.progress import Progress
from sgbench.cells.cell import Cell
from sgbench.cells.prompts import load_prompts
from sgbench.guidance import RULES
from sgbench.models import catalogue
from sgbench.models.components import NONE, NOT_FETCHED, autoencoder_sha256, missing_autoencoder, require_text_encoder
from sgbench.networks.loading import present
from sgbench.results.faults import Failure
from sgbench.results.store import Store
from sgbench.run.shards import batch_size, missing_shards
from sgbench.run.watchdog import Watchdog
from sgbench.run.worker import OnShard, Part


class RunSummary(NamedTuple):
    """What a run did; `images_kept` were there, or were made by other processes meanwhile."""

    cells: int
    images_made: int
    images_kept: int
    seconds: float
    failed: tuple[Failure, ...] = ()

    def as_dict(self) -> dict[str, Any]:
        """The summary as plain data."""
        return {**self._asdict(), "failed": [failure._asdict() for failure in self.failed]}


def run_cells(
    cells: Sequence[Cell],
    samples: int,
    store: Store,
    device: torch.device,
    progress: Progress,
    batch: int | None = None,
    on_shard: OnShard | None = None,
    shard_timeout: float | None = None,
) -> RunSummary:
    """Bring every cell to `samples` images. The same call again continues where this one stopped.

    Several processes may do so at once, and share the work. `on_shard` is told of every shard that this one finishes.
    A cell whose numbers are not finite, or for which the memory is too small, fails alone and is told of in the
    summary. A shard that takes longer than `shard_timeout` seconds ends the process.

    Raises UserError for a weight file that is missing or corrupt and for a disk that is full; what was finished before
    stays.
    """
    started = time.monotonic()
    check_weights(cells)
    gaps = {cell: missing_shards(store, cell, samples) for cell in cells}
    store.require_space((cell, sum(g.missing for g in found.values())) for cell, found in gaps.items())
    watchdog = Watchdog(shard_timeout, samples, store, device, progress)
    part = Part(samples, store, device, progress, on_shard, watchdog)
    progress.begin("run", len(cells) * samples, "image")
    for model in dict.fromkeys(cell.model for cell in cells):
        mine = {cell: gaps[cell] for cell in cells if cell.model == model}
        part.complete_model(mine, batch_size(next(iter(mine)), device, batch))
    progress.end()
    absent = sum(samples - store.noted_images(cell, samples) for cell in part.failed)
    kept = len(cells) * samples - absent - part.made
    return RunSummary(len(cells), part.made, kept, time.monotonic() - started, tuple(part.failed.values()))


def check_weights(cells: Sequence[Cell]) -> None:
    """Miss a file before the first image is made, not when its turn comes."""
    for cell in cells:
        entry = catalogue.entry(cell.model)
        present(entry, entry.main)
        if RULES[cell.guidance.rule].needs_auxiliary and entry.auxiliary is not None:
            present(entry, entry.auxiliary)
        if cell.autoencoder not in ("", NONE) and autoencoder_sha256(cell.autoencoder) == NOT_FETCHED:
            raise missing_autoencoder(cell.autoencoder)
        if cell.text_encoder not in ("", NONE):
            require_text_encoder(cell.text_encoder)
        if cell.prompts:
            load_prompts(cell.prompts)
