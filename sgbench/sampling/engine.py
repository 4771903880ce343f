"""Draw the images of a cell: branches to a guided prediction, predictions to samples, samples to uint8."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Sequence
from typing import NamedTuple

import torch
from torch import Tensor

from sgbench.cost.closed_form import kept_tokens
from sgbench.errors import UserError
from sgbench.guidance import RULES, Branch, combine
from sgbench.models import catalogue
from sgbench.models.autoencoder import Decoder, decode, load_decoder, preview
from sgbench.models.build import Network
from sgbench.models.loading import load_network
from sgbench.models.prediction import predict
from sgbench.sampling import randomness
from sgbench.sampling.ddim import sample_ddim
from sgbench.sampling.edm_heun import sample_edm_heun
from sgbench.sampling.euler import sample_euler
from sgbench.suite.cell import Cell

# Small models gain from company on a CPU (19 images/s at 125, 29 at 25 and 16 at 5, CFG), large ones do not.
GROUP, SMALL_GRID = 25, 64
SOLVERS: dict[str, Callable[[Callable[[Tensor, float, int], Tensor], Tensor, int], Tensor]] = {
    "euler": sample_euler,
    "edm-heun": sample_edm_heun,
    "ddim": sample_ddim,
}


class Networks(NamedTuple):
    """The checkpoints that a cell calls, on their device, in evaluation mode."""

    main: Network
    auxiliary: Network | None
    decoder: Decoder | None = None

    def of(self, branch: Branch) -> Network:
        """The network that serves `branch`."""
        if branch.checkpoint == "main":
            return self.main
        assert self.auxiliary is not None
        return self.auxiliary


class Drawn(NamedTuple):
    """Images uint8 (N, H, W, C) on the CPU, how many were drawn to get them, and the seconds of decoding latents."""

    images: Tensor
    made: int
    decode_seconds: float


def load_networks(cell: Cell, auxiliary: bool, device: torch.device) -> Networks:
    """Verified weights in fresh networks. Raises UserError when a weight file is missing or corrupt."""
    entry = catalogue.entry(cell.model)
    return Networks(
        load_network(entry, "main", device),
        load_network(entry, "auxiliary", device) if auxiliary else None,
        load_decoder(cell.autoencoder, device) if cell.autoencoder else None,
    )


def labels_of(cell: Cell, indices: Sequence[int]) -> Tensor:
    """The class each image is asked to show (N,), int64 on the CPU."""
    return torch.from_numpy(randomness.labels(cell.seed, indices, catalogue.entry(cell.model).classes, cell.labels))


def group_size(grid_tokens: int) -> int:
    """How many images a CPU always draws together.

    Its matrix kernels differ with the number of rows, in the last bits and so now and then in an image. So image i
    is drawn with the others of its group, whatever was asked for.
    """
    return GROUP if grid_tokens <= SMALL_GRID else 1


def sample(cell: Cell, networks: Networks, indices: Sequence[int], device: torch.device) -> Drawn:
    """Images of the given sample indices.

    On a CPU, and at one number of threads, they are the same bit for bit in whatever calls they are asked for.
    Raises UserError when a prediction is not finite.
    """
    if device.type != "cpu":
        return _draw(cell, networks, indices, device)
    size = group_size(networks.main.architecture.grid_tokens)
    numbers = sorted({index // size for index in indices})
    groups = {n: _draw(cell, networks, range(n * size, (n + 1) * size), device) for n in numbers}
    images = torch.stack([groups[index // size].images[index % size] for index in indices])
    return Drawn(images, len(groups) * size, sum(group.decode_seconds for group in groups.values()))


@torch.inference_mode()
def _draw(cell: Cell, networks: Networks, indices: Sequence[int], device: torch.device) -> Drawn:
    """Images of the given sample indices, drawn together."""
    start = randomness.noise(cell.seed, indices, networks.main.architecture.sample_shape)
    guided = _guided(cell, networks, indices, device)
    state = SOLVERS[cell.sampler.name](guided, torch.from_numpy(start).to(device), cell.sampler.steps).float()
    if not torch.isfinite(state).all():
        raise UserError(
            "the denoiser's prediction is not finite",
            where=cell.describe(),
            fix="lower the scale, or use dtype: float32",
        )
    began = time.perf_counter()
    images = state
    if cell.autoencoder:
        images = preview(state) if networks.decoder is None else decode(networks.decoder, state)
    quantised = ((images + 1) * 127.5).round().clamp(0, 255).to(torch.uint8).permute(0, 2, 3, 1).cpu()
    return Drawn(quantised, len(indices), time.perf_counter() - began if cell.autoencoder else 0.0)


def _guided(
    cell: Cell, networks: Networks, indices: Sequence[int], device: torch.device
) -> Callable[[Tensor, float, int], Tensor]:
    """The guided prediction as a function of (x, noise level, evaluation)."""
    family = catalogue.entry(cell.model).family
    rule, guidance = RULES[cell.guidance.rule], cell.guidance
    labels = labels_of(cell, indices).to(device)
    grid = networks.main.architecture.grid_tokens

    def branch_of(branch: Branch, x: Tensor, level: float, evaluation: int) -> Tensor:
        condition = _condition(branch, cell, labels, indices, evaluation)
        tokens = _tokens(branch, branch.gamma(guidance), cell, indices, evaluation, grid)
        with _autocast(cell.dtype, device):
            return predict(
                networks.of(branch),
                family.prediction,
                family.sigma_data,
                x,
                level,
                condition,
                None if tokens is None else tokens.to(device),
            )

    def guided(x: Tensor, level: float, evaluation: int) -> Tensor:
        strong = branch_of(rule.strong, x, level, evaluation)
        if rule.weak is None:
            return strong
        combined = combine(strong, branch_of(rule.weak, x, level, evaluation), guidance.scale)
        channels = family.guided_channels
        if channels is None or channels >= strong.shape[1]:
            return combined
        return torch.cat([combined[:, :channels], strong[:, channels:]], dim=1)

    return guided


def _condition(branch: Branch, cell: Cell, labels: Tensor, indices: Sequence[int], evaluation: int) -> Tensor:
    classes = catalogue.entry(cell.model).classes
    if branch.condition == "null":
        return torch.full_like(labels, classes)
    if branch.condition == "random":
        drawn = randomness.random_classes(cell.seed, indices, evaluation, classes)
        return torch.from_numpy(drawn).to(labels.device)
    return labels


def _tokens(
    branch: Branch, gamma: float, cell: Cell, indices: Sequence[int], evaluation: int, grid: int
) -> Tensor | None:
    kept = kept_tokens(grid, gamma)
    if kept == grid:
        return None
    if kept == 0:
        return torch.zeros(len(indices), 0, dtype=torch.long)
    streams = randomness.Stream
    stream = streams.STRONG_TOKENS if branch.sparsity == "strong" else streams.WEAK_TOKENS
    return torch.from_numpy(randomness.token_subset(cell.seed, stream, indices, evaluation, grid, kept))


def _autocast(dtype: str, device: torch.device) -> contextlib.AbstractContextManager[object]:
    if dtype == "bfloat16":
        return torch.autocast(device.type, torch.bfloat16)
    return contextlib.nullcontext()
