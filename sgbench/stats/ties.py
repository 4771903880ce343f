"""Which points off a frontier are beaten beyond noise, and which only on the estimates."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from sgbench.stats.frontier import Point, Vector, frontier
from sgbench.stats.paired import t_quantiles

Standing = Literal["frontier", "tie", "dominated"]
CHUNK = 256
Flags = NDArray[np.bool_]


def standings(points: Sequence[Point]) -> list[Standing]:
    """For each point of one rule: on the frontier, off it within noise, or dominated beyond noise.

    A point is dominated when some point of no greater cost is better by a paired difference whose interval leaves out
    zero. All such points are asked, not the frontier's alone: one that moves with the point under deletion of the same
    images can tell a smaller difference. Intervals are so wide that all of a point's hold together with 95 %
    (`paired.t_quantiles`): of thirty cells alike, some rival would else seem better by chance alone. Values and
    replicates hold no NaN.
    """
    if not points:
        return []
    costs, values = np.array([p.cost for p in points]), np.array([p.value for p in points])
    kept = set(frontier(costs.tolist(), values.tolist()))
    beaten = _beaten(costs, values, np.array([p.replicates for p in points]))
    return ["frontier" if i in kept else "dominated" if beaten[i] else "tie" for i in range(len(points))]


def _beaten(costs: Vector, values: Vector, replicates: Vector) -> Flags:
    """Whether a point of no greater cost is significantly better, for costs and values (P,), replicates (P, groups)."""
    groups = replicates.shape[1]
    deviations = (replicates - replicates.mean(axis=1, keepdims=True)) * np.sqrt((groups - 1) / groups)
    squares = (deviations**2).sum(axis=1)
    rivals_of = np.searchsorted(np.sort(costs), costs, side="right") - 1
    widths = t_quantiles(groups, rivals_of)
    order = np.argsort(values, kind="stable")
    undecided, beaten = order, np.zeros(len(costs), dtype=np.bool_)
    # Best rivals first: they settle most points, and few are left for the others.
    for start in range(0, len(order), CHUNK):
        rivals = order[start : start + CHUNK]
        # The variance of a difference by its three products: no array of pairs by groups.
        variance = squares[undecided, None] + squares[rivals] - 2 * deviations[undecided] @ deviations[rivals].T
        half = widths[undecided, None] * np.sqrt(np.maximum(variance, 0))
        better = (values[undecided, None] - values[rivals] > half) & (costs[rivals] <= costs[undecided, None])
        beaten[undecided] = better.any(axis=1)
        undecided = undecided[~beaten[undecided]]
    return beaten
