"""Pareto frontiers of quality against compute, and the compute saved at matched quality.

Uncertainty comes from the jackknife replicates of all cells at once: cells of a suite share seeds and
labels, so deleting a group of images moves them together, and that covariance is what pairs them.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

DRAWS = 2000
DRAW_SEED = 0
LEVEL = 0.95
Vector = NDArray[np.float64]


class Point(NamedTuple):
    """A cell on the plane of cost and a quality that is better when lower."""

    cost: float
    value: float
    replicates: tuple[float, ...]


class Saving(NamedTuple):
    """Share of the baseline's cost saved at the baseline's best value, with a 95 % interval.

    `reached` is False when the rule's frontier never gets to that value; share and interval are then NaN.
    `at_least` is True when even the rule's cheapest point is better: the saving is then its own, since nothing
    is extrapolated. `lower` is minus infinity when the rule misses the value in more than
    2.5 % of the draws.
    """

    share: float
    lower: float
    upper: float
    reached: bool
    at_least: bool
    probability_reached: float


def frontier(costs: Sequence[float], values: Sequence[float]) -> list[int]:
    """Indices of the points that none other beats in both, by rising cost; value is better when lower."""
    order = sorted(range(len(costs)), key=lambda i: (costs[i], values[i]))
    kept: list[int] = []
    for index in order:
        if not kept or values[index] < values[kept[-1]]:
            kept.append(index)
    return kept


def cost_to_reach(costs: Vector, values: Vector, target: float) -> float:
    """Least cost at which the frontier of some points reaches `target`, linear between frontier points.

    NaN where it never does; the cheapest frontier point's cost where that is already good enough.
    """
    kept = frontier(costs.tolist(), values.tolist())
    cost, value = costs[kept], values[kept]
    if value[-1] > target:
        return float("nan")
    first = int(np.argmax(value <= target))
    if first == 0:
        return float(cost[0])
    share = (value[first - 1] - target) / (value[first - 1] - value[first])
    return float(cost[first - 1] + share * (cost[first] - cost[first - 1]))


def draws(points: Sequence[Point], count: int = DRAWS) -> Vector:
    """Joint draws (count, points) around the values, with the covariance of their jackknife replicates."""
    replicates = np.array([p.replicates for p in points])
    groups = replicates.shape[1]
    deviations = (replicates - replicates.mean(axis=1, keepdims=True)) * np.sqrt((groups - 1) / groups)
    normal = np.random.Generator(np.random.PCG64(DRAW_SEED)).standard_normal((count, groups))
    return np.asarray(np.array([p.value for p in points]) + normal @ deviations.T)


def saving(baseline: Sequence[Point], rule: Sequence[Point]) -> Saving:
    """Compute that `rule` saves at the best value of `baseline`.

    In every draw the baseline's best point and the rule's frontier are found anew, so the interval holds the
    uncertainty about which points those are. Costs are taken as exact.
    """
    split = len(baseline)
    points = [*baseline, *rule]
    costs = np.array([p.cost for p in points])
    estimate = _share_saved(costs, np.array([p.value for p in points]), split)
    shares = np.array([_share_saved(costs, drawn, split) for drawn in draws(points)])
    probability = float(np.mean(~np.isnan(shares)))
    if np.isnan(estimate):
        return Saving(float("nan"), float("nan"), float("nan"), False, False, probability)
    # Sorted draws instead of interpolated quantiles: a draw that misses the target stays minus infinity.
    ordered = np.sort(np.where(np.isnan(shares), -np.inf, shares))
    lower = float(ordered[int(len(ordered) * (1 - LEVEL) / 2)])
    upper = float(ordered[int(np.ceil(len(ordered) * (1 + LEVEL) / 2)) - 1])
    best = min(baseline, key=lambda p: p.value)
    cheapest = min(p.cost for p in rule)
    return Saving(estimate, lower, upper, True, bool(np.isclose(estimate, 1 - cheapest / best.cost)), probability)


def _share_saved(costs: Vector, values: Vector, split: int) -> float:
    """Share of the baseline's cost (the first `split` points) saved at its best value; NaN if not reached."""
    best = int(np.argmin(values[:split]))
    return 1 - cost_to_reach(costs[split:], values[split:], values[best]) / float(costs[best])
