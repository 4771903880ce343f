"""Nearest neighbours: precision and recall, density and coverage, distance to training images.

Squared Euclidean distances in float32 around the real images' mean, as |x|^2 + |y|^2 - 2 x.y; one block of rows at a
time, so memory stays bounded at any number of images.
"""

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from sgbench.stats.estimates import Estimate, group_bounds, jackknife, mean_estimate

BLOCK = 2048
SPARE = 16
PRECISION_K, DENSITY_K = 3, 5


class Cloud(NamedTuple):
    """Features float32 (N, D) around a common centre, and their squared lengths (N,)."""

    features: Tensor
    squares: Tensor


class Real(NamedTuple):
    """The real images: their cloud, the centre, and the squared distance of each to its k-th neighbour (M,), by k."""

    cloud: Cloud
    centre: Tensor
    radii: dict[int, Tensor]


def cloud(features: NDArray[np.floating], centre: Tensor) -> Cloud:
    """Put features (N, D) on the centre's device."""
    placed = torch.from_numpy(features.astype(np.float32)).to(centre.device) - centre
    return Cloud(placed, (placed * placed).sum(1))


def centre_of(features: NDArray[np.floating], device: torch.device) -> Tensor:
    """The mean of features (N, D) on a device, float32."""
    return torch.from_numpy(features.mean(axis=0, dtype=np.float64).astype(np.float32)).to(device)


@torch.inference_mode()
def prepare_real(features: NDArray[np.floating], device: torch.device, ks: tuple[int, ...]) -> Real:
    """Put real features on a device and find their radii, once for all cells."""
    centre = centre_of(features, device)
    placed = cloud(features, centre)
    found = nearest(placed, max(ks))[0]
    return Real(placed, centre, {k: found[:, k].contiguous() for k in ks})


def squared_distances(rows: Cloud, columns: Cloud) -> Iterator[tuple[int, int, Tensor]]:
    """(start, stop, squared distances (rows, columns)) a block of rows at a time, valid until the next one."""
    size = min(BLOCK, len(rows.features))
    buffer = torch.empty(size, len(columns.features), device=rows.features.device)
    for start in range(0, len(rows.features), size):
        stop = min(start + size, len(rows.features))
        block = torch.addmm(
            columns.squares[None], rows.features[start:stop], columns.features.T, alpha=-2, out=buffer[: stop - start]
        )
        yield start, stop, block.add_(rows.squares[start:stop, None]).clamp_(min=0)


def nearest(points: Cloud, k: int) -> tuple[Tensor, Tensor]:
    """Squared distances and indices (N, k + 1) of the nearest k + 1; the nearest is the sample itself, at zero."""
    distances, indices = [], []
    for start, stop, block in squared_distances(points, points):
        # Despite rounding, a sample is its own nearest neighbour.
        block[torch.arange(stop - start), torch.arange(start, stop)] = 0
        found = block.topk(min(k + 1, block.shape[1]), largest=False)
        distances.append(found.values)
        indices.append(found.indices)
    return torch.cat(distances), torch.cat(indices)


def radii_with_and_without(points: Cloud, bounds: list[tuple[int, int]], k: int) -> Tensor:
    """Squared k-th neighbour distances (1 + groups, N): of all, then with each group deleted.

    A deleted sample's own is -1 and covers nothing. A few spare neighbours suffice for nearly every deletion; distances
    are computed again only where a group held too many of them.
    """
    distances, neighbours = nearest(points, min(k + SPARE, len(points.features) - 1))
    radii = [distances[:, k]]
    for start, stop in bounds:
        alive = (neighbours < start) | (neighbours >= stop)
        rank = alive.cumsum(dim=1)
        place = (rank == k + 1).to(torch.uint8).argmax(dim=1, keepdim=True)
        left = distances.gather(1, place).squeeze(1)
        short = (rank[:, -1] <= k).nonzero().flatten()
        short = short[(short < start) | (short >= stop)]
        if len(short):
            left[short] = _radii_of(points, short, (start, stop), k)
        left[start:stop] = -1
        radii.append(left)
    return torch.stack(radii)


def _radii_of(points: Cloud, rows: Tensor, deleted: tuple[int, int], k: int) -> Tensor:
    found = []
    for start, stop, block in squared_distances(Cloud(points.features[rows], points.squares[rows]), points):
        block[torch.arange(stop - start), rows[start:stop]] = 0
        block[:, deleted[0] : deleted[1]] = torch.inf
        found.append(block.topk(k + 1, largest=False).values[:, k])
    return torch.cat(found)


@torch.inference_mode()
def precision_recall(generated: NDArray[np.floating], real: Real, k: int = PRECISION_K) -> tuple[Estimate, Estimate]:
    """Precision and recall of generated features (N, D) in sample order; `real` was prepared with this k.

    As ADM's evaluator takes them (Kynkaanniemi et al., arXiv 1904.06991), k = 3, <=. Precision: share of generated
    samples inside the k-NN ball of some real one. Recall: the converse; its error is a jackknife's.
    """
    samples = cloud(generated, real.centre)
    bounds = group_bounds(len(generated))
    radii = radii_with_and_without(samples, bounds, k)
    inside = torch.zeros(len(generated), dtype=torch.bool, device=radii.device)
    covered = []
    # One pass over the distances serves both.
    for start, stop, block in squared_distances(real.cloud, samples):
        inside |= (block <= real.radii[k][start:stop, None]).any(dim=0)
        covered.append(_covered(block, radii, bounds))
    recall = torch.cat(covered, dim=1).double().mean(dim=1).tolist()
    return mean_estimate(inside.cpu().double().numpy()), jackknife(recall[0], recall[1:])


def _covered(block: Tensor, radii: Tensor, bounds: list[tuple[int, int]]) -> Tensor:
    """Whether each real image (rows of distances (m, N)) is in some ball, for each row of radii (R, N): bool (R, m).

    Deleting a group only widens the remaining balls. So an image in balls of two groups stays covered whichever is
    deleted, and one outside the widest balls never is; only the images between are checked replicate by replicate.
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


@torch.inference_mode()
def density_coverage(generated: NDArray[np.floating], real: Real, k: int = DENSITY_K) -> tuple[Estimate, Estimate]:
    """Density and coverage of generated features (N, D) in sample order; `real` was prepared with this k.

    As published (Naeem et al., arXiv 2002.09797): k = 5, strictly inside. Density: how many real k-NN balls hold a
    generated sample, over k; it may pass one. Coverage: share of real images whose ball holds some generated sample;
    its error is a jackknife's. Both take balls around real images only: an outlier among the samples cannot help.
    """
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
    return mean_estimate(balls.cpu().numpy() / k), coverage


class Training:
    """Features of the training images on a device."""

    def __init__(self, features: NDArray[np.floating], device: torch.device) -> None:
        self.centre = centre_of(features, device)
        self.cloud = cloud(features, self.centre)

    @torch.inference_mode()
    def distances(self, images: NDArray[np.floating]) -> NDArray[np.float64]:
        """Distance of features (N, D) to the nearest training image's: (N,)."""
        placed = cloud(images, self.centre)
        least = [block.amin(dim=1) for _, _, block in squared_distances(placed, self.cloud)]
        return torch.cat(least).double().sqrt().cpu().numpy()
