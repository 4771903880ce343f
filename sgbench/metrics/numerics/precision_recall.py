"""Improved precision and recall (Kynkaanniemi et al., arXiv 1904.06991) as ADM's evaluator takes them: k = 3, <=.

Precision: share of generated samples inside the k-NN ball of some real one. Recall: the converse.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from sgbench.metrics.numerics.neighbours import Real, cloud, radii_with_and_without, squared_distances
from sgbench.stats.estimates import Estimate, group_bounds, jackknife, mean_estimate

NEIGHBOURS = 3


class PrecisionRecall(NamedTuple):
    """Both estimates. Precision is a mean over generated images; recall's error is a jackknife's."""

    precision: Estimate
    recall: Estimate


@torch.inference_mode()
def precision_recall(generated: NDArray[np.floating], real: Real, k: int = NEIGHBOURS) -> PrecisionRecall:
    """Precision and recall of generated features (N, D) in sample order; `real` was prepared with this k."""
    samples = cloud(generated, real.centre)
    bounds = group_bounds(len(generated))
    radii = radii_with_and_without(samples, bounds, k)
    inside = torch.zeros(len(generated), dtype=torch.bool, device=radii.device)
    covered = []
    # One pass over the distances answers both.
    for start, stop, block in squared_distances(real.cloud, samples):
        inside |= (block <= real.radii[k][start:stop, None]).any(dim=0)
        covered.append(_covered(block, radii, bounds))
    recall = torch.cat(covered, dim=1).double().mean(dim=1).tolist()
    return PrecisionRecall(mean_estimate(inside.cpu().double().numpy()), jackknife(recall[0], recall[1:]))


def _covered(block: Tensor, radii: Tensor, bounds: list[tuple[int, int]]) -> Tensor:
    """Whether each real image (rows of distances (m, N)) is in some ball, for each row of radii (R, N): bool (R, m).

    Deleting a group only widens the balls that are left. So an image in balls of two groups stays covered whichever is
    deleted, and one outside the widest balls never is; only the images between are looked up replicate by replicate.
    """
    full = block <= radii[0]
    groups = torch.stack([full[:, start:stop].any(dim=1) for start, stop in bounds]).sum(dim=0)
    reachable = (block <= radii.amax(dim=0)).any(dim=1)
    found = (groups >= 2).expand(len(radii), -1).clone()
    found[0] = groups >= 1
    between = ((groups < 2) & reachable).nonzero().flatten()
    if len(between):
        rows = block[between]
        for replicate in range(1, len(radii)):
            found[replicate, between] = (rows <= radii[replicate]).any(dim=1)
    return found
