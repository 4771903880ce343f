"""Kernel distances between sets of features: KID's polynomial kernel, CMMD's Gaussian one; float64, by blocks.

Squared maximum mean discrepancy: mean k(x, x') + mean k(y, y') - 2 mean k(x, y).
KID (Binkowski et al., arXiv 1801.01401): k = (x.y / D + 1)^3, unbiased: pairs of an image with itself are left out. All
pairs are used; torch-fidelity averages 100 random subsets of 1,000, which has the same expectation and more noise.
CMMD (Jayasumana et al., arXiv 2401.09603): k = exp(-|x - y|^2 / 200), biased: those pairs are in; times 1,000.
"""

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from sgbench.stats.estimates import Estimate, group_bounds, jackknife

BLOCK = 2048
CMMD_WIDTH, CMMD_SCALE = 10.0, 1000.0
Kernel = Callable[[Tensor, Tensor], Tensor]


class KernelTarget(NamedTuple):
    """Real features (M, D) in float64 on a device, and the mean of the kernel over their pairs, found once."""

    features: Tensor
    kernel: Kernel
    unbiased: bool
    scale: float
    within: float


def polynomial(x: Tensor, y: Tensor) -> Tensor:
    """(x.y / D + 1)^3 of features (n, D) and (m, D): (n, m)."""
    return (x @ y.T / x.shape[1] + 1) ** 3


def gaussian(x: Tensor, y: Tensor) -> Tensor:
    """exp(-|x - y|^2 / (2 width^2)) of features (n, D) and (m, D): (n, m)."""
    squared = (x * x).sum(1)[:, None] + (y * y).sum(1) - 2 * x @ y.T
    return torch.exp(squared / (-2 * CMMD_WIDTH**2))


def prepare_kid(real: NDArray[np.floating], device: torch.device) -> KernelTarget:
    """Real features for KID."""
    return _prepare(real, device, polynomial, unbiased=True, scale=1.0)


def prepare_cmmd(real: NDArray[np.floating], device: torch.device) -> KernelTarget:
    """Real features for CMMD."""
    return _prepare(real, device, gaussian, unbiased=False, scale=CMMD_SCALE)


def _prepare(
    real: NDArray[np.floating], device: torch.device, kernel: Kernel, unbiased: bool, scale: float
) -> KernelTarget:
    features = torch.from_numpy(real.astype(np.float64)).to(device)
    sums = _sums(features, features, [(0, len(features))], [(0, len(features))], kernel)
    diagonal = _diagonal(features, [(0, len(features))], kernel)
    within = _mean_pairs(float(sums[0, 0]), float(diagonal[0]), len(features), unbiased)
    return KernelTarget(features, kernel, unbiased, scale, within)


@torch.inference_mode()
def kernel_estimate(generated: NDArray[np.floating], target: KernelTarget) -> Estimate:
    """Squared discrepancy of generated features (N, D) in sample order, with its jackknife error."""
    samples = torch.from_numpy(generated.astype(np.float64)).to(target.features.device)
    bounds = group_bounds(len(samples))
    within = _sums(samples, samples, bounds, bounds, target.kernel)
    across = _sums(samples, target.features, bounds, [(0, len(target.features))], target.kernel)[:, 0]
    diagonal = _diagonal(samples, bounds, target.kernel)
    sizes = torch.tensor([stop - start for start, stop in bounds])

    def distance(kept: Tensor) -> float:
        count = int(sizes[kept].sum())
        own = _mean_pairs(float(within[kept][:, kept].sum()), float(diagonal[kept].sum()), count, target.unbiased)
        other = float(across[kept].sum()) / (count * len(target.features))
        return target.scale * (own + target.within - 2 * other)

    everything = torch.arange(len(bounds))
    return jackknife(distance(everything), [distance(everything[everything != g]) for g in range(len(bounds))])


def _mean_pairs(total: float, diagonal: float, count: int, unbiased: bool) -> float:
    return (total - diagonal) / (count * (count - 1)) if unbiased else total / count**2


def _sums(
    x: Tensor, y: Tensor, x_bounds: list[tuple[int, int]], y_bounds: list[tuple[int, int]], kernel: Kernel
) -> Tensor:
    """Sums of the kernel over every pair of groups: (groups of x, groups of y), on the CPU."""
    sums = torch.zeros(len(x_bounds), len(y_bounds), dtype=torch.float64)
    edges = torch.tensor([0, *(stop for _, stop in y_bounds)])
    for group, (start, stop) in enumerate(x_bounds):
        columns = torch.zeros(len(y), dtype=torch.float64, device=x.device)
        for rows in x[start:stop].split(BLOCK):
            columns += torch.cat([kernel(rows, part).sum(0) for part in y.split(BLOCK)])
        running = torch.cat([torch.zeros(1, dtype=torch.float64), columns.cpu().cumsum(0)])
        sums[group] = running[edges[1:]] - running[edges[:-1]]
    return sums


def _diagonal(x: Tensor, bounds: list[tuple[int, int]], kernel: Kernel) -> Tensor:
    """Sums of k(x, x) over the images of each group, on the CPU."""
    own = torch.cat([kernel(row[None], row[None])[0] for row in x])
    return torch.stack([own[start:stop].sum() for start, stop in bounds]).cpu()
