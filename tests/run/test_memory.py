"""Out of memory: a smaller batch, the same images; and a cell that fails alone where no batch fits."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from sgbench.base.progress import Silent
from sgbench.cells.cell import Cell
from sgbench.guidance.settings import Guidance
from sgbench.results.store import Store
from sgbench.run import shards as shards_module
from sgbench.run import worker as worker_module
from sgbench.run.device import Batch, is_out_of_memory
from sgbench.run.runner import run_cells
from sgbench.samplers.settings import Sampler
from tests.stored import stored_images

pytestmark = pytest.mark.slow

CPU = torch.device("cpu")
NONE = Cell("fashion-tiny", Guidance("none"), Sampler("euler", 1), 3, "balanced", "float32")
CFG = NONE._replace(guidance=Guidance("cfg", 1.5, 0.0, 0.0))
KINDS: list[Callable[[], Exception]] = [
    lambda: torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB"),
    lambda: RuntimeError("[enforce fail at alloc_cpu.cpp:118] DefaultCPUAllocator: can't allocate memory"),
    lambda: RuntimeError("CUDA error: CUBLAS_STATUS_ALLOC_FAILED when calling `cublasCreate(handle)`"),
    MemoryError,
]


def bounded(
    monkeypatch: pytest.MonkeyPatch, most: int, error: Callable[[], Exception], cell: Cell | None = None
) -> list[int]:
    """Let drawing more than `most` images at once fail, of one cell or of all; the sizes that were tried."""
    real, tried = shards_module.sample, []

    def sample(drawn: Cell, networks: Any, indices: range, device: torch.device) -> Any:
        tried.append(len(indices))
        if len(indices) > most and cell in (None, drawn):
            raise error()
        return real(drawn, networks, indices, device)

    monkeypatch.setattr(shards_module, "sample", sample)
    return tried


def images(store: Store, cell: Cell = NONE) -> np.ndarray:
    return stored_images(store, cell, 240)


@pytest.mark.parametrize("error", [*KINDS[:1], *(pytest.param(kind, marks=pytest.mark.full) for kind in KINDS[1:])])
def test_a_batch_that_does_not_fit_is_halved_for_good(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, error: Callable[[], Exception]
) -> None:
    whole, halved = Store(tmp_path / "a", "s"), Store(tmp_path / "b", "s")
    run_cells([NONE, CFG], 240, whole, CPU, Silent(), 96)
    tried = bounded(monkeypatch, 30, error)
    done = run_cells([NONE, CFG], 240, halved, CPU, Silent(), 96)
    assert not done.failed
    # Whole groups of 24: from 96 to 48 to 24, and never again above, for the second cell either.
    assert tried[:3] == [96, 48, 24]
    assert set(tried[3:]) == {24}
    for cell in (NONE, CFG):
        assert np.array_equal(images(whole, cell), images(halved, cell))


def test_where_the_smallest_batch_does_not_fit_the_cell_fails_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    bounded(monkeypatch, 10, KINDS[0], CFG)
    store = Store(tmp_path, "s")
    done = run_cells([CFG, NONE], 24, store, CPU, Silent())
    assert (done.images_made, [failure.settings for failure in done.failed]) == (24, [CFG.describe()])
    reason = "memory is too small for the smallest batch, 24 images (CUDA out of memory. Tried to"
    assert done.failed[0].reason.startswith(reason)
    record = store.read_record(CFG, "failure")
    assert record is not None
    assert (record["step"], record["branch"]) == (None, None)


def test_a_model_that_does_not_fit_fails_all_its_cells(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    real = worker_module.load_networks

    def load(cell: Cell, *rest: Any) -> Any:
        if cell.model == "fashion-tiny":
            raise KINDS[0]()
        return real(cell, *rest)

    monkeypatch.setattr(worker_module, "load_networks", load)
    dense = NONE._replace(model="fashion-dense")
    done = run_cells([NONE, CFG, dense], 24, Store(tmp_path, "s"), CPU, Silent())
    assert [failure.reason for failure in done.failed] == ["memory is too small for the model"] * 2
    assert done.images_made == 24


def test_a_gpu_goes_down_to_one_image() -> None:
    tried = []

    def work(size: int) -> int:
        tried.append(size)
        if size > 1:
            raise torch.OutOfMemoryError("no")
        return size

    batch = Batch(7)
    assert batch.draw(NONE, work) == 1
    assert tried == [7, 3, 1]
    assert batch.size == 1


def test_every_kind_is_recognised() -> None:
    assert all(is_out_of_memory(kind()) for kind in KINDS)


def test_other_errors_are_not_taken_for_it() -> None:
    def work(size: int) -> int:
        raise RuntimeError("mat1 and mat2 shapes cannot be multiplied")

    with pytest.raises(RuntimeError, match="mat1 and mat2"):
        Batch(8).draw(NONE, work)


def test_a_failed_attempt_holds_no_memory_while_the_next_is_made() -> None:
    """Its tensors would be held by the traceback of a handler that is still open."""
    import weakref

    class Tensors:
        pass

    held: list[weakref.ref[Tensors]] = []

    def work(size: int) -> bool:
        if size > 1:
            mine = Tensors()
            held.append(weakref.ref(mine))
            raise MemoryError
        return held[0]() is None

    assert Batch(2).draw(NONE, work)
