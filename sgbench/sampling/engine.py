"""Generate the images of a cell: sample, decode, convert to uint8, in groups that do not depend on the request."""

import time
from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor

from sgbench.base.errors import CellError
from sgbench.cells import randomness
from sgbench.cells.cell import Cell
from sgbench.cells.program import may_stop
from sgbench.guidance import RULES
from sgbench.models import catalogue
from sgbench.networks.autoencoder import decode, preview
from sgbench.samplers.catalogue import SAMPLERS
from sgbench.sampling.branch_calls import to_device
from sgbench.sampling.conditions import labels_for
from sgbench.sampling.guided import GuidedPrediction
from sgbench.sampling.held import HeldPrediction
from sgbench.sampling.networks import Networks

# (tokens of the grid, images): the batch of a CPU. Measured on two cores in float32: small networks gain up to about 24
# images, XL/2 at 512 pixels not at all. All divide a shard.
GROUPS = ((64, 24), (256, 8), (1024, 2))


class SampledBatch(NamedTuple):
    """Images uint8 (N, H, W, C) on the CPU, how many were generated for them, and the seconds of decoding latents."""

    images: Tensor
    made: int
    decode_seconds: float
    guided: tuple[int, ...] = ()
    """How many evaluations of each image were guided, under a rule that stops guidance; else empty."""


def group_size(grid_tokens: int) -> int:
    """How many images a CPU always generates together.

    Its matrix kernels round differently for different numbers of rows. So image i is always generated with the others
    of its group, whatever images are requested.
    """
    return next((images for tokens, images in GROUPS if grid_tokens <= tokens), 1)


def sample(cell: Cell, networks: Networks, indices: Sequence[int], device: torch.device) -> SampledBatch:
    """Images of the given sample indices.

    On a CPU, at a given number of threads, they are the same bit for bit however calls divide them.
    Raises CellError when a prediction is not finite.
    """
    if device.type != "cpu":
        return _draw(cell, networks, indices, device)
    size = group_size(networks.main.architecture.grid_tokens)
    numbers = sorted({index // size for index in indices})
    groups = {n: _draw(cell, networks, range(n * size, (n + 1) * size), device) for n in numbers}
    places = [(groups[index // size], index % size) for index in indices]
    images = torch.stack([group.images[place] for group, place in places])
    guided = tuple(group.guided[place] for group, place in places if group.guided)
    return SampledBatch(images, len(groups) * size, sum(group.decode_seconds for group in groups.values()), guided)


@torch.inference_mode()
def _draw(cell: Cell, networks: Networks, indices: Sequence[int], device: torch.device) -> SampledBatch:
    """Images of the given sample indices, generated in one batch."""
    state, guided = run_cell(cell, networks, indices, device)
    state = state.float()
    began = time.perf_counter()
    images = state
    if networks.decoder is not None:
        images = decode(networks.decoder, state)
        if not torch.isfinite(images).all():
            raise CellError(
                "the decoder's images are not finite, though all predictions are",
                where=cell.describe(),
                fix="use another autoencoder, or lower the scale",
                step=cell.sampler.steps,
                branch="decoder",
            )
    elif cell.autoencoder:
        images = preview(state)
    quantised = ((images + 1) * 127.5).round().clamp(0, 255).to(torch.uint8).permute(0, 2, 3, 1).cpu()
    seconds = time.perf_counter() - began if cell.autoencoder else 0.0
    counts = tuple(guided.guided.tolist()) if may_stop(cell) else ()
    return SampledBatch(quantised, len(indices), seconds, counts)


@torch.inference_mode()
def final_state(cell: Cell, networks: Networks, indices: Sequence[int], device: torch.device) -> Tensor:
    """The sampler's final state (N, C, H, W), before decoding; float64 where the published sampler keeps it so.

    Raises CellError when a prediction is not finite.
    """
    return run_cell(cell, networks, indices, device)[0]


def run_cell(
    cell: Cell, networks: Networks, indices: Sequence[int], device: torch.device
) -> tuple[Tensor, GuidedPrediction]:
    """The final state, and the guided prediction that led to it."""
    shape = networks.main.architecture.sample_shape
    guided = GuidedPrediction(cell, networks, labels_for(cell, indices), indices, device)
    noise = to_device(torch.from_numpy(randomness.noise(cell.seed, indices, shape)), device)
    if catalogue.entry(cell.model).family.float64_state:
        noise = noise.double()

    def fresh(step: int) -> Tensor:
        return to_device(torch.from_numpy(randomness.step_noise(cell.seed, indices, shape, step)), device)

    sampler = SAMPLERS[cell.sampler.name]
    replaced = RULES[cell.guidance.rule].replaces_update
    held = HeldPrediction(cell, guided, sampler, sampler.solve_plus_plus if replaced else sampler.solve, noise)
    with SAMPLERS.running(sampler.name):
        if replaced:
            assert sampler.solve_plus_plus is not None, "the suite's check lets no other sampler through"
            state = sampler.solve_plus_plus(cell.sampler, held.pair, noise)
        else:
            state = sampler.solve(cell.sampler, held, noise, fresh)
    state = held.finish(state)
    guided.finite.require(cell)
    return state, guided
