"""Nearest neighbours by blocks: what precision, recall, density, coverage and the memorisation check stand on.

Squared Euclidean distances in float32 around the real images' mean, as |x|^2 + |y|^2 - 2 x.y; one block of rows at a
time, so memory stays bounded at any number of images.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

BLOCK = 2048
SPARE = 16


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


@torch.inference_mode()
def prepare_real(features: NDArray[np.floating], device: torch.device, ks: tuple[int, ...]) -> Real:
    """Put real features on a device and find their radii, once for all cells."""
    centre = torch.from_numpy(features.mean(axis=0, dtype=np.float64).astype(np.float32)).to(device)
    placed = cloud(features, centre)
    found = nearest(placed, max(ks))[0]
    return Real(placed, centre, {k: found[:, k].contiguous() for k in ks})


def squared_distances(rows: Cloud, columns: Cloud) -> Iterator[tuple[int, int, Tensor]]:
    """(start, stop, squared distances (rows, columns)) a block of rows at a time, good until the next is asked for."""
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
        # Rounding must not push a sample off its own place.
        block[torch.arange(stop - start), torch.arange(start, stop)] = 0
        found = block.topk(min(k + 1, block.shape[1]), largest=False)
        distances.append(found.values)
        indices.append(found.indices)
    return torch.cat(distances), torch.cat(indices)


def radii_with_and_without(points: Cloud, bounds: list[tuple[int, int]], k: int) -> Tensor:
    """Squared k-th neighbour distances (1 + groups, N): of all, then with each group deleted.

    A deleted sample's own is -1 and covers nothing. A few spare neighbours answer nearly every deletion; only where a
    group held too many of them are distances looked up again.
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
