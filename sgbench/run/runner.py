"""Run the cells of a suite in this process: make what is missing, keep what is there; or time its cells again."""

import time
from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any, NamedTuple

import torch

from sgbench.base.errors import UserError
from sgbench.base.progress import Progress
from sgbench.cells.cell import Cell
from sgbench.cells.prompts import load_prompts
from sgbench.cost.measured import timed
from sgbench.guidance import RULES
from sgbench.models import catalogue
from sgbench.models.components import NONE, NOT_FETCHED, autoencoder_sha256, missing_autoencoder, require_text_encoder
from sgbench.networks.loading import present
from sgbench.results.claims import Claims
from sgbench.results.faults import Failure
from sgbench.results.store import Store
from sgbench.run.device import describe_device
from sgbench.run.finalize import cost_claim, is_recorded, timing
from sgbench.run.shards import batch_size, missing_shards
from sgbench.run.worker import OnShard, RunWorker
from sgbench.sampling.engine import sample
from sgbench.sampling.networks import load_networks


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


class Run:
    """What comes before and after the work of a run, whichever engine does it: checks, kept images, the summary.

    `stale` holds the cells with something left to do and the gaps in their shards; their folders are ready for it.
    Raises UserError for a weight file that is missing or corrupt and for a disk without room for the missing images.
    """

    def __init__(self, cells: Sequence[Cell], samples: int, store: Store, progress: Progress) -> None:
        self.cells, self.samples, self.store, self.progress = cells, samples, store, progress
        self._started = time.monotonic()
        check_weights(cells)
        gaps = {cell: missing_shards(store, cell, samples) for cell in cells}
        lacking = {cell: sum(gap.missing for gap in found.values()) for cell, found in gaps.items()}
        store.require_space(lacking.items())
        progress.begin("run", len(cells) * samples, "image")
        for cell, images in lacking.items():
            if images < samples:
                progress.advance(samples - images, f"{cell.describe()} (kept)")
        self.stale = {cell: gaps[cell] for cell in cells if gaps[cell] or not is_recorded(cell, store, samples)}
        for cell in self.stale:
            store.write_cell(cell)
            store.remove_leftovers(cell)

    def end(self, made: int, failed: Mapping[Cell, Failure]) -> RunSummary:
        """End the progress and sum up: `made` images, and the cells that failed."""
        self.progress.end()
        absent = sum(self.samples - self.store.noted_images(cell, self.samples) for cell in failed)
        kept = len(self.cells) * self.samples - absent - made
        return RunSummary(len(self.cells), made, kept, time.monotonic() - self._started, tuple(failed.values()))


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

    Several processes may do so at once, and share the work. `on_shard` is called after every shard that this one
    finishes. A cell whose numbers are not finite, or for which the memory is too small, fails alone and is in the
    summary. `shard_timeout` is that of RunWorker. Raises UserError as Run does, and for a disk that is full.
    """
    run = Run(cells, samples, store, progress)
    worker = RunWorker(samples, store, device, progress, shard_timeout, on_shard)
    for model in dict.fromkeys(cell.model for cell in run.stale):
        mine = {cell: gaps for cell, gaps in run.stale.items() if cell.model == model}
        worker.complete_model(mine, batch_size(next(iter(mine)), device, batch))
    return run.end(worker.made, worker.failed)


def check_weights(cells: Sequence[Cell]) -> None:
    """Raise UserError for a missing or corrupt weight file before the first image is made, not in mid-run."""
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


def time_cells(
    cells: Sequence[Cell],
    rounds: int,
    store: Store,
    device: torch.device,
    progress: Progress,
    batch: int | None = None,
) -> float:
    """Write fresh seconds per image into every cell's cost.json and return the seconds all of it took.

    A sweep takes hours, in which other load changes its times. Here the cells of a model take turns, a batch each, so
    that ratios hold even if absolute times do not. A first round warms up and is not counted. Raises UserError for a
    cell that has not been run yet.
    """
    check_weights(cells)
    records = {cell: store.read_record(cell, "cost") for cell in cells}
    for cell, record in records.items():
        if record is None:
            fix = "run `sgbench run` with the same suite first"
            raise UserError("the cell has no images yet", where=cell.describe(), fix=fix)
    claims = Claims(store.folder)
    progress.begin("time", len(cells) * (rounds + 1), "reading")
    spent = 0.0
    for model in dict.fromkeys(cell.model for cell in cells):
        mine = [cell for cell in cells if cell.model == model]
        size = batch_size(mine[0], device, batch).size
        networks = load_networks(mine[0], any(RULES[cell.guidance.rule].needs_auxiliary for cell in mine), device)
        sampling: dict[Cell, list[float]] = {cell: [] for cell in mine}
        decoding: dict[Cell, list[float]] = {cell: [] for cell in mine}
        for _ in range(rounds + 1):
            for cell in mine:
                drawn, seconds = timed(partial(sample, cell, networks, range(size), device), device)
                sampling[cell].append((seconds - drawn.decode_seconds) / drawn.made)
                decoding[cell].append(drawn.decode_seconds / drawn.made)
                spent += seconds
                progress.advance(1, cell.describe())
        for cell in mine:
            measured = timing(sampling[cell][1:], decoding[cell][1:])
            measured |= {"batch": size, "device": describe_device(device), "other_devices": 0}
            # A run may have written the record again since it was read.
            with claims.awaited(cost_claim(cell)):
                record = store.read_record(cell, "cost") or records[cell]
                assert record is not None
                store.write_record(cell, "cost", {**record, "measured": {**record["measured"], **measured}})
    progress.end()
    return spent
