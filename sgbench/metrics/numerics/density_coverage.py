"""Density and coverage (Naeem et al., arXiv 2002.09797) as published: k = 5, strictly inside.

Density: how many real k-NN balls hold a generated sample, over k; it may pass one. Coverage: share of real images whose
ball holds some generated sample. Both take balls around real images only, so an outlier among the samples cannot help.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray

from sgbench.metrics.numerics.neighbours import Real, cloud, squared_distances
from sgbench.stats.estimates import Estimate, group_bounds, jackknife, mean_estimate

NEIGHBOURS = 5


class DensityCoverage(NamedTuple):
    """Both estimates. Density is a mean over generated images; coverage's error is a jackknife's."""

    density: Estimate
    coverage: Estimate


@torch.inference_mode()
def density_coverage(generated: NDArray[np.floating], real: Real, k: int = NEIGHBOURS) -> DensityCoverage:
    """Density and coverage of generated features (N, D) in sample order; `real` was prepared with this k."""
    samples = cloud(generated, real.centre)
    bounds = group_bounds(len(generated))
    balls = torch.zeros(len(generated), dtype=torch.float64, device=samples.features.device)
    groups = []
    for start, stop, block in squared_distances(real.cloud, samples):
        within = block < real.radii[k][start:stop, None]
        balls += within.sum(dim=0)
        groups.append(torch.stack([within[:, first:last].any(dim=1) for first, last in bounds]))
    by_group = torch.cat(groups, dim=1)
    # Without a group, an image is covered if any other group covers it.
    counts = by_group.sum(dim=0)
    replicates = [float((counts > own).double().mean()) for own in by_group.long()]
    coverage = jackknife(float((counts > 0).double().mean()), replicates)
    return DensityCoverage(mean_estimate(balls.cpu().numpy() / k), coverage)
