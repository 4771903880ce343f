"""Draw the images of a cell: branches to velocity, velocity to samples, samples to uint8."""

from __future__ import annotations

import contextlib
from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor

from sgbench.cost.closed_form import kept_tokens
from sgbench.errors import UserError
from sgbench.guidance import RULES, Branch, combine
from sgbench.models import catalogue
from sgbench.models.build import Network, build
from sgbench.models.denoiser import Denoiser
from sgbench.sampling import randomness
from sgbench.sampling.euler import sample_euler
from sgbench.suite.cell import Cell
from sgbench.zoo.weights import load_weights

# A CPU's matrix kernels differ with the number of rows, in the last bits and so now and then in an image. There,
# image i is always drawn with the others of its group of so many, whatever was asked for.
GROUP = 25


class Networks(NamedTuple):
    """The checkpoints that a cell calls, on their device, in evaluation mode."""

    main: Network
    auxiliary: Network | None

    def of(self, branch: Branch) -> Network:
        """The network that serves `branch`."""
        if branch.checkpoint == "main":
            return self.main
        assert self.auxiliary is not None
        return self.auxiliary


def load_networks(model: str, auxiliary: bool, device: torch.device) -> Networks:
    """Verified weights in fresh networks. Raises UserError when a weight file is missing or corrupt."""
    return Networks(_load(model, "final", device), _load(model, "early", device) if auxiliary else None)


def _load(model: str, checkpoint: str, device: torch.device) -> Network:
    network = build(catalogue.entry(model).architecture)
    network.load_state_dict(load_weights(model, "final" if checkpoint == "final" else "early"))
    return network.eval().requires_grad_(False).to(device)


def labels_of(cell: Cell, indices: Sequence[int]) -> Tensor:
    """The class each image is asked to show (N,), int64 on the CPU."""
    classes = catalogue.entry(cell.model).architecture.num_classes
    return torch.from_numpy(randomness.labels(cell.seed, indices, classes, cell.labels))


def sample(cell: Cell, networks: Networks, indices: Sequence[int], device: torch.device) -> Tensor:
    """Images uint8 (N, H, W, C) of the given sample indices, on the CPU.

    On a CPU, and at one number of threads, they are the same bit for bit in whatever calls they are asked for.
    Raises UserError when a prediction is not finite.
    """
    if device.type != "cpu":
        return _draw(cell, networks, indices, device)
    numbers = sorted({index // GROUP for index in indices})
    groups = {n: _draw(cell, networks, range(n * GROUP, (n + 1) * GROUP), device) for n in numbers}
    return torch.stack([groups[index // GROUP][index % GROUP] for index in indices])


@torch.inference_mode()
def _draw(cell: Cell, networks: Networks, indices: Sequence[int], device: torch.device) -> Tensor:
    """Images uint8 (N, H, W, C) of the given sample indices, drawn together."""
    architecture = networks.main.architecture
    rule, guidance = RULES[cell.guidance.rule], cell.guidance
    labels = labels_of(cell, indices).to(device)
    start = torch.from_numpy(randomness.noise(cell.seed, indices, architecture.sample_shape)).to(device)

    def predict(branch: Branch, x: Tensor, t: float, step: int) -> Tensor:
        gamma = branch.gamma(guidance)
        condition = _condition(branch, cell, labels, indices, step, architecture.null_label)
        tokens = _tokens(branch, gamma, cell, indices, step, architecture.grid_tokens)
        at = torch.full((len(indices),), t, device=device)
        denoiser: Denoiser = networks.of(branch)
        with _autocast(cell.dtype, device):
            return denoiser(x, at, condition, None if tokens is None else tokens.to(device)).float()

    def velocity(x: Tensor, t: float, step: int) -> Tensor:
        strong = predict(rule.strong, x, t, step)
        if rule.weak is None:
            return strong
        return combine(strong, predict(rule.weak, x, t, step), guidance.scale)

    images = sample_euler(velocity, start, cell.sampler.steps)
    if not torch.isfinite(images).all():
        raise UserError(
            "the denoiser's prediction is not finite",
            where=cell.describe(),
            fix="lower the scale, or use dtype: float32",
        )
    return ((images + 1) * 127.5).round().clamp(0, 255).to(torch.uint8).permute(0, 2, 3, 1).cpu()


def _condition(branch: Branch, cell: Cell, labels: Tensor, indices: Sequence[int], step: int, null: int) -> Tensor:
    if branch.condition == "null":
        return torch.full_like(labels, null)
    if branch.condition == "random":
        drawn = randomness.random_classes(cell.seed, indices, step, null)
        return torch.from_numpy(drawn).to(labels.device)
    return labels


def _tokens(branch: Branch, gamma: float, cell: Cell, indices: Sequence[int], step: int, grid: int) -> Tensor | None:
    kept = kept_tokens(grid, gamma)
    if kept == grid:
        return None
    streams = randomness.Stream
    stream = streams.STRONG_TOKENS if branch.sparsity == "strong" else streams.WEAK_TOKENS
    return torch.from_numpy(randomness.token_subset(cell.seed, stream, indices, step, grid, kept))


def _autocast(dtype: str, device: torch.device) -> contextlib.AbstractContextManager[object]:
    if dtype == "bfloat16":
        return torch.autocast(device.type, torch.bfloat16)
    return contextlib.nullcontext()
