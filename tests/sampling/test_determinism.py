"""Images do not depend on how they were asked for: batch sizes, order, a limit, or how many processes draw them.

What all are compared with was asked for in one batch of 64.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor

from sgbench.cells.cell import Cell
from sgbench.guidance import RULES
from sgbench.guidance.settings import Guidance
from sgbench.samplers.settings import Sampler
from sgbench.sampling.engine import sample
from sgbench.sampling.networks import Networks, load_networks
from tests.warm import Warm

pytestmark = pytest.mark.slow

CPU = torch.device("cpu")
IMAGES = 64
CELLS = {
    "cfg": (Guidance("cfg", 2.0), Sampler("euler", 2)),
    "sg, coins": (Guidance("sg", 2.0, 0.25, 0.75, subset="bernoulli"), Sampler("heun", 2)),
    "icg, stochastic": (Guidance("icg", 2.0), Sampler("euler-maruyama", 2)),
}
each_cell = pytest.mark.parametrize("name", CELLS)


def cell(name: str) -> Cell:
    return Cell("fashion-tiny", *CELLS[name], 11, "random", "float32")


@pytest.fixture(scope="module")
def networks() -> Networks:
    return load_networks(cell("cfg"), False, CPU)


@pytest.fixture(scope="module")
def expected(networks: Networks) -> dict[str, Tensor]:
    """All images of every cell, asked for at once."""
    return {name: sample(cell(name), networks, range(IMAGES), CPU).images for name in CELLS}


@each_cell
@pytest.mark.parametrize("batch", [1, 7, 33])
def test_batch_size(name: str, batch: int, networks: Networks, expected: dict[str, Tensor]) -> None:
    wanted = range(IMAGES) if batch > 1 else [0, 23, 24, 63]
    parts = [wanted[start : start + batch] for start in range(0, len(wanted), batch)]
    found = torch.cat([sample(cell(name), networks, part, CPU).images for part in parts])
    assert torch.equal(found, expected[name][list(wanted)])


@each_cell
def test_order_of_the_work(name: str, networks: Networks, expected: dict[str, Tensor]) -> None:
    for shard in (range(40, 64), range(0, 16), range(16, 40)):
        assert torch.equal(sample(cell(name), networks, shard, CPU).images, expected[name][list(shard)])


@each_cell
def test_a_limit_is_a_prefix(name: str, networks: Networks, expected: dict[str, Tensor]) -> None:
    assert torch.equal(sample(cell(name), networks, range(10), CPU).images, expected[name][:10])


WORKER = """
import sys
import numpy as np
import torch
from sgbench.sampling.engine import sample
from sgbench.sampling.networks import load_networks
from sgbench.cells.cell import Cell
from sgbench.guidance.settings import Guidance
from sgbench.samplers.settings import Sampler
torch.set_num_threads(1)
cell = Cell("fashion-routing", Guidance("sg", 2.0, 0.25, 0.75), Sampler("euler", 2), 11, "random", "float32")
first, last = int(sys.argv[1]), int(sys.argv[2])
images = sample(cell, load_networks(cell, False, torch.device("cpu")), range(first, last), torch.device("cpu")).images
np.save(sys.argv[3], images.numpy())
"""


def test_one_worker_and_two_of_as_many_threads(tmp_path: Path) -> None:
    """In processes of their own, side by side, on interleaved shares of the work."""

    script = tmp_path / "worker.py"
    script.write_text(WORKER)

    def start(first: int, last: int) -> tuple[Path, Warm]:
        path = tmp_path / f"{first}.npy"
        return path, Warm(script, str(first), str(last), path)

    def finish(work: tuple[Path, Warm]) -> np.ndarray:
        assert work[1].wait(timeout=120) == 0
        return np.load(work[0])

    alone = finish(start(0, 60))
    two = [start(30, 60), start(0, 30)]
    second, first = (finish(work) for work in two)
    assert np.array_equal(np.concatenate([first, second]), alone)


def test_every_rule_is_a_pure_function_of_the_cell(networks: Networks) -> None:
    """Nothing is left behind by a run: the momentum of APG, above all."""
    parameters = (("eta", 0.0), ("momentum", -0.5), ("norm_limit", 0.0))
    chosen = cell("cfg")._replace(guidance=Guidance("apg", 2.0, parameters=parameters))
    assert RULES["apg"].combine is not None
    first = sample(chosen, networks, range(3), CPU).images
    assert torch.equal(sample(chosen, networks, range(3), CPU).images, first)
