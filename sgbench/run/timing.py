"""Measure seconds again, apart from making images: cells in turn, a batch each, for several rounds.

A sweep takes hours, and what else the machine did in them stands in its times. Here every cell of a model is timed
within seconds of every other, so that ratios hold even where absolute times do not.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial

import torch

from sgbench.base.errors import UserError
from sgbench.base.progress import Progress
from sgbench.cells.cell import Cell
from sgbench.cost.measured import summarise, timed
from sgbench.guidance import RULES
from sgbench.results.claims import Claims
from sgbench.results.store import Store
from sgbench.run.device import describe_device
from sgbench.run.finalize import cost_claim
from sgbench.run.runner import check_weights
from sgbench.run.shards import batch_size
from sgbench.sampling.engine import sample
from sgbench.sampling.networks import load_networks


def time_cells(
    cells: Sequence[Cell],
    rounds: int,
    store: Store,
    device: torch.device,
    progress: Progress,
    batch: int | None = None,
) -> float:
    """Write fresh seconds per image into every cell's cost.json and return the seconds all of it took.

    A first round warms up and is not counted. Raises UserError when a cell has not been run yet.
    """
    check_weights(cells)
    records = {cell: store.read_record(cell, "cost") for cell in cells}
    for cell, record in records.items():
        if record is None:
            raise UserError(
                "the cell has no images yet", where=cell.describe(), fix="run `sgbench run` with the same suite first"
            )
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
                work = partial(sample, cell, networks, range(size), device)
                drawn, seconds = timed(work, device)
                sampling[cell].append((seconds - drawn.decode_seconds) / drawn.made)
                decoding[cell].append(drawn.decode_seconds / drawn.made)
                spent += seconds
                progress.advance(1, cell.describe())
        for cell in mine:
            timing = summarise(sampling[cell][1:])
            measured = {
                "seconds_per_image": timing._asdict(),
                "images_per_second": 1 / timing.median,
                "decode_seconds_per_image": summarise(decoding[cell][1:]).median,
                "batch": size,
                "device": describe_device(device),
                "other_devices": 0,
            }
            # A run may have written the record again since it was read.
            with claims.awaited(cost_claim(cell)):
                record = store.read_record(cell, "cost") or records[cell]
                assert record is not None
                store.write_record(cell, "cost", {**record, "measured": {**record["measured"], **measured}})
    progress.end()
    return spent
