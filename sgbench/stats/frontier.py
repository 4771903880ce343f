"""Pareto frontiers of quality against compute, and the compute saved at matched quality.

Uncertainty comes from the jackknife replicates of all cells at once: cells of a suite share seeds and
labels, so deleting a group of images moves them together, and that covariance is what pairs them.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

DRAWS = 4000
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
    `at_least` is True when even the rule's cheapest frontier point is better: the saving is then its own,
    since nothing is extrapolated. `lower` is minus infinity when the rule misses the value in more than
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
    """Least cost at which a frontier (by rising cost) reaches `target`, linear between its points.

    NaN where it never does; the first point's cost where that is already good enough.
    """
    best = np.minimum.accumulate(values)
    if best[-1] > target:
        return float("nan")
    first = int(np.argmax(best <= target))
    if first == 0 or best[first] == best[first - 1]:
        return float(costs[first])
    share = (best[first - 1] - target) / (best[first - 1] - best[first])
    return float(costs[first - 1] + share * (costs[first] - costs[first - 1]))


def draws(points: Sequence[Point], count: int = DRAWS) -> Vector:
    """Joint draws (count, points) around the values, with the covariance of their jackknife replicates."""
    replicates = np.array([p.replicates for p in points])
    groups = replicates.shape[1]
    deviations = (replicates - replicates.mean(axis=1, keepdims=True)) * np.sqrt((groups - 1) / groups)
    normal = np.random.Generator(np.random.PCG64(DRAW_SEED)).standard_normal((count, groups))
    return np.asarray(np.array([p.value for p in points]) + normal @ deviations.T)


def saving(baseline: Sequence[Point], rule: Sequence[Point]) -> Saving:
    """Compute that `rule` saves at the best value of `baseline`.

    Which cell is the baseline's best, and which points make up the rule's frontier, is decided on the
    estimates; the draws then say how sure the saving is.
    """
    best = min(baseline, key=lambda p: p.value)
    members = [rule[i] for i in frontier([p.cost for p in rule], [p.value for p in rule])]
    costs = np.array([p.cost for p in members])
    needed = cost_to_reach(costs, np.array([p.value for p in members]), best.value)
    drawn = draws([best, *members])
    reached = np.array([cost_to_reach(costs, row[1:], row[0]) for row in drawn])
    shares = np.where(np.isnan(reached), -np.inf, 1 - reached / best.cost)
    probability = float(np.mean(~np.isnan(reached)))
    if np.isnan(needed):
        return Saving(float("nan"), float("nan"), float("nan"), False, False, probability)
    # Sorted draws instead of interpolated quantiles: minus infinity must stay what it is.
    ordered = np.sort(shares)
    lower = float(ordered[int(len(ordered) * (1 - LEVEL) / 2)])
    upper = float(ordered[int(np.ceil(len(ordered) * (1 + LEVEL) / 2)) - 1])
    at_least = needed == costs[0]
    return Saving(float(1 - needed / best.cost), lower, upper, True, bool(at_least), probability)
