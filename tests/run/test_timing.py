"""Timing apart from making images: fresh seconds for every cell, nothing else touched."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from sgbench.base.errors import UserError
from sgbench.base.progress import Silent
from sgbench.cells.cell import Cell
from sgbench.guidance.settings import Guidance
from sgbench.results.store import Store
from sgbench.run.runner import run_cells, time_cells
from sgbench.samplers.settings import Sampler

CPU = torch.device("cpu")
CFG = Cell("fashion-tiny", Guidance("cfg", 1.5, 0.0, 0.0), Sampler("euler", 2), 3, "balanced", "float32")
SPARSE = CFG._replace(guidance=Guidance("none", 1.0, 0.9, 0.0))


@pytest.mark.slow
def test_every_cell_gets_as_many_readings_as_rounds(tmp_path: Path) -> None:
    store = Store(tmp_path, "s")
    run_cells([CFG, SPARSE], 4, store, CPU, Silent())
    before = {cell: store.read_record(cell, "cost") for cell in (CFG, SPARSE)}
    stamps = {p: p.stat().st_mtime_ns for p in store.folder.rglob("shards/*")}
    time_cells([CFG, SPARSE], 3, store, CPU, Silent())
    after = {cell: store.read_record(cell, "cost") for cell in (CFG, SPARSE)}
    for cell in (CFG, SPARSE):
        old, new = before[cell], after[cell]
        assert old is not None
        assert new is not None
        assert new["measured"]["seconds_per_image"]["batches"] == 3
        assert new["measured"]["seconds_per_image"] != old["measured"]["seconds_per_image"]
        assert new["measured"]["peak_bytes"] == old["measured"]["peak_bytes"]
        assert {k: v for k, v in new.items() if k != "measured"} == {k: v for k, v in old.items() if k != "measured"}
    assert {p: p.stat().st_mtime_ns for p in store.folder.rglob("shards/*")} == stamps


def test_a_cell_that_was_not_run_is_named(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="the cell has no images yet") as caught:
        time_cells([CFG], 1, Store(tmp_path, "s"), CPU, Silent())
    assert "fashion-tiny cfg" in str(caught.value)
