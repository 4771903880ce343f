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
    inside = _covered(samples, real.features, real.radii).double()
    precision = [float(_without(inside, start, stop).mean()) for start, stop in bounds]
    recall = [_recall(_without(samples, start, stop), real, k) for start, stop in bounds]
    return PrecisionRecall(
        jackknife(float(inside.mean()), precision), jackknife(_recall(samples, real, k), recall)
    )


def _without(rows: Tensor, start: int, stop: int) -> Tensor:
    return torch.cat([rows[:start], rows[stop:]])


def _recall(samples: Tensor, real: Real, k: int) -> float:
    return float(_covered(real.features, samples, _radii(samples, k)).double().mean())


def _radii(features: Tensor, k: int) -> Tensor:
    """Distance to the k-th nearest other sample; the nearest of the k + 1 is the sample itself."""
    blocks = features.split(BLOCK)
    return torch.cat([torch.cdist(rows, features).topk(k + 1, largest=False).values[:, k] for rows in blocks])


def _covered(points: Tensor, centres: Tensor, radii: Tensor) -> Tensor:
    """Whether each point (P, D) lies within the radius of some centre: bool (P,)."""
    blocks = points.split(BLOCK)
    return torch.cat([(torch.cdist(rows, centres) <= radii[None]).any(dim=1) for rows in blocks])
