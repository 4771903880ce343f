"""Improved precision and recall (Kynkaanniemi et al., arXiv 1904.06991), streamed over blocks.

Precision: share of generated samples inside the k-NN ball of some real one. Recall: the converse. Distances
are float32; a block holds at most BLOCK rows, so memory stays bounded at any sample count.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from sgbench.score.protocols import NEIGHBOURS
from sgbench.stats.jackknife import Estimate, group_bounds, jackknife

BLOCK = 2048
SPARE = 16


class PrecisionRecall(NamedTuple):
    """Both estimates, each with its jackknife error."""

    precision: Estimate
    recall: Estimate


class Real(NamedTuple):
    """Real features (M, D) and the distance of each to its k-th neighbour (M,)."""

    features: Tensor
    radii: Tensor


def prepare_real(features: NDArray[np.floating], device: torch.device, k: int = NEIGHBOURS) -> Real:
    """Put real features on a device and find their radii, once for all cells."""
    tensor = torch.from_numpy(features.astype(np.float32)).to(device)
    return Real(tensor, _radii(tensor, k))


@torch.inference_mode()
def precision_recall(generated: NDArray[np.floating], real: Real, k: int = NEIGHBOURS) -> PrecisionRecall:
    """Precision and recall of generated features (N, D) in sample order."""
    samples = torch.from_numpy(generated.astype(np.float32)).to(real.features.device)
    bounds = group_bounds(len(samples))
    inside = _covered(samples, real.features, real.radii[None])[0].double()
    precision = [float(torch.cat([inside[:start], inside[stop:]]).mean()) for start, stop in bounds]
    radii = torch.stack([_radii(samples, k), *_radii_without(samples, bounds, k)])
    recall = _covered(real.features, samples, radii).double().mean(dim=1).tolist()
    return PrecisionRecall(jackknife(float(inside.mean()), precision), jackknife(recall[0], recall[1:]))


def _radii(features: Tensor, k: int) -> Tensor:
    """Distance to the k-th nearest other sample; the nearest of the k + 1 is the sample itself."""
    blocks = features.split(BLOCK)
    return torch.cat([torch.cdist(rows, features).topk(k + 1, largest=False).values[:, k] for rows in blocks])


def _radii_without(features: Tensor, bounds: list[tuple[int, int]], k: int) -> list[Tensor]:
    """The radii (N,) that are left when each group is deleted; a deleted sample's own is -1 and covers nothing.

    A few spare neighbours per sample answer nearly every deletion; only where a group held too many of
    them are distances looked up again.
    """
    spare = min(len(features), k + 1 + SPARE)
    nearest = [torch.cdist(rows, features).topk(spare, largest=False) for rows in features.split(BLOCK)]
    distances = torch.cat([found.values for found in nearest])
    neighbours = torch.cat([found.indices for found in nearest])
    left = []
    for start, stop in bounds:
        alive = (neighbours < start) | (neighbours >= stop)
        rank = alive.cumsum(dim=1)
        place = (rank == k + 1).to(torch.uint8).argmax(dim=1, keepdim=True)
        radii = distances.gather(1, place).squeeze(1)
        for row in (rank[:, -1] <= k).nonzero().flatten().tolist():
            others = torch.cat([features[:start], features[stop:]])
            radii[row] = torch.cdist(features[row : row + 1], others).topk(k + 1, largest=False).values[0, k]
        radii[start:stop] = -1
        left.append(radii)
    return left


def _covered(points: Tensor, centres: Tensor, radii: Tensor) -> Tensor:
    """Whether each point (P, D) lies within the radius of some centre, for each row of radii (R, C): bool (R, P)."""
    found = []
    for rows in points.split(BLOCK):
        distances = torch.cdist(rows, centres)
        found.append(torch.stack([(distances <= some).any(dim=1) for some in radii]))
    return torch.cat(found, dim=1)
