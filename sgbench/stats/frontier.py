"""Pareto frontiers of quality against compute: ties, the knee, compute saved at matched quality, best in a budget.

Uncertainty comes from the jackknife replicates of all cells at once: cells of a suite share seeds and labels, so
deleting a group of images moves them together, and that covariance is what pairs them.
"""

from collections.abc import Sequence
from typing import Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.special import ndtri

from sgbench.stats.estimates import Difference, t_quantile, t_quantiles

DRAWS = 2000
DRAW_SEED = 0
LEVEL = 0.95
# Costs are products in floating point: half of twenty steps must still pay for ten.
ROUNDING = 1e-9
CHUNK = 256
Vector = NDArray[np.float64]
Standing = Literal["frontier", "tie", "dominated"]


class Point(NamedTuple):
    """A cell on the plane of cost and a quality that is better when lower."""

    cost: float
    value: float
    replicates: tuple[float, ...]


class Saving(NamedTuple):
    """Share of the baseline's cost saved at the baseline's best value, with a 95 % interval.

    `reached` is False when the rule's frontier never gets to that value; share and interval are then NaN. `at_least`
    is True when even the rule's cheapest point is better: the saving is then its own, since nothing is extrapolated.
    `lower` is minus infinity when the rule misses the value in more than 2.5 % of the draws.
    """

    share: float
    lower: float
    upper: float
    reached: bool
    at_least: bool
    probability_reached: float


def frontier(costs: Sequence[float], values: Sequence[float]) -> list[int]:
    """Indices of the points that no other point beats in both, by rising cost; lower values are better."""
    kept: list[int] = []
    for index in sorted(range(len(costs)), key=lambda i: (costs[i], values[i])):
        if not kept or values[index] < values[kept[-1]]:
            kept.append(index)
    return kept


def standings(points: Sequence[Point]) -> list[Standing]:
    """For each point of one rule: on the frontier, off it within noise, or dominated beyond noise.

    A point is dominated when some point of no greater cost, on the frontier or not, is better by a paired difference
    whose interval excludes zero. Intervals are wide enough for all of a point's comparisons to hold together with 95 %
    (`t_quantiles`); otherwise one of thirty equal cells would seem better by chance. Nothing may hold NaN.
    """
    if not points:
        return []
    costs, values = np.array([p.cost for p in points]), np.array([p.value for p in points])
    kept = set(frontier(costs.tolist(), values.tolist()))
    beaten = _beaten(costs, values, np.array([p.replicates for p in points]))
    return ["frontier" if i in kept else "dominated" if beaten[i] else "tie" for i in range(len(points))]


def _beaten(costs: Vector, values: Vector, replicates: Vector) -> NDArray[np.bool_]:
    """Whether a point of no greater cost is significantly better, for costs and values (P,), replicates (P, groups)."""
    deviations = _deviations(replicates)
    squares = (deviations**2).sum(axis=1)
    widths = t_quantiles(replicates.shape[1], np.searchsorted(np.sort(costs), costs, side="right") - 1)
    order = np.argsort(values, kind="stable")
    undecided, beaten = order, np.zeros(len(costs), dtype=np.bool_)
    # Best rivals first: they decide most points, and few are left for the others.
    for start in range(0, len(order), CHUNK):
        rivals = order[start : start + CHUNK]
        # The variance of a difference from its three products avoids an array of pairs by groups.
        variance = squares[undecided, None] + squares[rivals] - 2 * deviations[undecided] @ deviations[rivals].T
        half = widths[undecided, None] * np.sqrt(np.maximum(variance, 0))
        better = (values[undecided, None] - values[rivals] > half) & (costs[rivals] <= costs[undecided, None])
        beaten[undecided] = better.any(axis=1)
        undecided = undecided[~beaten[undecided]]
    return beaten


def running_best(costs: Vector, values: Vector) -> tuple[Vector, Vector]:
    """The distinct costs (C,) in rising order, and the least value (D, C) within each, for values (D, P) of draws.

    A draw's frontier has a point wherever its least value falls.
    """
    order = np.argsort(costs, kind="stable")
    distinct, starts = np.unique(costs[order], return_index=True)
    return distinct, np.minimum.accumulate(np.minimum.reduceat(values[:, order], starts, axis=1), axis=1)


def cost_to_reach(costs: Vector, values: Vector, targets: Vector) -> Vector:
    """Least cost at which the frontier of some points reaches a target, linear between frontier points.

    Costs (P,) hold for every draw; values (D, P) and targets (D,) give one answer each, (D,). NaN where the frontier
    never gets there; the cheapest point's cost where that is already good enough. No NaN among the values.
    """
    cost, least = running_best(costs, values)
    rows = np.arange(len(least))
    # The least value never rises, so counting what is still worse finds the first that is not.
    first = (least > targets[:, None]).sum(axis=1)
    reached, stop = first < len(cost), np.minimum(first, len(cost) - 1)
    before = least[rows, np.maximum(stop - 1, 0)]
    start = (least > before[:, None]).sum(axis=1)
    drop = before - least[rows, stop]
    share = np.divide(before - targets, drop, out=np.zeros_like(drop), where=(stop > 0) & (drop > 0))
    found = np.where(stop > 0, cost[start] + share * (cost[stop] - cost[start]), cost[0])
    return np.where(reached, found, np.nan)


def draws(points: Sequence[Point], count: int = DRAWS) -> Vector:
    """Joint draws (count, points) around the values, with the covariance of their jackknife replicates.

    A draw resamples the groups of images whichever points are given, so separate calls stay paired.
    """
    deviations = _deviations(np.array([p.replicates for p in points]))
    normal = np.random.Generator(np.random.PCG64(DRAW_SEED)).standard_normal((count, deviations.shape[1]))
    return np.asarray(np.array([p.value for p in points]) + normal @ deviations.T)


def _deviations(replicates: Vector) -> Vector:
    """Deviations from the mean (P, groups), scaled so that sums of products over groups are covariances."""
    groups = replicates.shape[1]
    return np.asarray((replicates - replicates.mean(axis=1, keepdims=True)) * np.sqrt((groups - 1) / groups))


def saving(baseline: Sequence[Point], rule: Sequence[Point]) -> Saving:
    """Compute that `rule` saves at the best value of `baseline`: any two sets of points that share their images.

    In every draw the baseline's best point and the rule's frontier are found again, so the interval includes the
    uncertainty about which points those are. Costs are taken as exact; the caller drops cells whose value is NaN.
    """
    split, points = len(baseline), [*baseline, *rule]
    costs = np.array([p.cost for p in points])
    estimate = float(_shares_saved(costs, np.array([[p.value for p in points]]), split)[0])
    shares = _shares_saved(costs, draws(points), split)
    probability = float(np.mean(~np.isnan(shares)))
    if np.isnan(estimate):
        return Saving(float("nan"), float("nan"), float("nan"), False, False, probability)
    # A draw that misses the target counts as minus infinity.
    lower, upper = interval(np.where(np.isnan(shares), -np.inf, shares))
    best = min(baseline, key=lambda p: p.value)
    cheapest = min(p.cost for p in rule)
    return Saving(estimate, lower, upper, True, bool(np.isclose(estimate, 1 - cheapest / best.cost)), probability)


def interval(drawn: Vector) -> tuple[float, float]:
    """Bounds of the middle 95 % of draws (D,); they are draws themselves, so that one may be infinite."""
    ordered = np.sort(drawn)
    tail = len(ordered) * (1 - LEVEL) / 2
    return float(ordered[int(tail)]), float(ordered[int(np.ceil(len(ordered) - tail)) - 1])


def interval_around(estimate: float, drawn: Vector, groups: int) -> tuple[float, float]:
    """95 % interval of a best value or an area from its draws (D,), symmetric with the farther of their two bounds.

    The best of several noisy cells looks better than it is, and its draws look better again: the middle of the draws
    would call a tie between many cells and few a win. Widened to Student's t for `groups` jackknife groups.
    """
    lower, upper = interval(drawn)
    widening = t_quantile(groups) / float(ndtri((1 + LEVEL) / 2))
    half = widening * max(upper - estimate, estimate - lower, 0.0)
    return estimate - half, estimate + half


def _shares_saved(costs: Vector, values: Vector, split: int) -> Vector:
    """Share of the baseline's cost (the first `split` points) saved at its best value, (D,) for values (D, P).

    NaN where it is not reached.
    """
    best = values[:, :split].argmin(axis=1)
    targets = values[np.arange(len(values)), best]
    return np.asarray(1 - cost_to_reach(costs[split:], values[:, split:], targets) / costs[best])


def best_within(points: Sequence[Point], budget: float) -> int | None:
    """Index of the best point of no greater cost than the budget, the cheapest of equals; None where all cost more.

    Measured points only, nothing is interpolated. Values hold no NaN.
    """
    return min(_affordable(points, budget), key=lambda i: (points[i].value, points[i].cost), default=None)


def budget_difference(baseline: Sequence[Point], rule: Sequence[Point], budget: float) -> Difference | None:
    """Best value of the rule within the budget minus that of the baseline, with a 95 % interval.

    In every joint draw the best cells are found again, so the interval includes the uncertainty about which they are.
    None if either has no cell within the budget.
    """
    ours = [rule[i] for i in _affordable(rule, budget)]
    theirs = [baseline[i] for i in _affordable(baseline, budget)]
    if not ours or not theirs:
        return None
    value = min(p.value for p in ours) - min(p.value for p in theirs)
    drawn = draws([*ours, *theirs])
    gaps = np.asarray(drawn[:, : len(ours)].min(axis=1) - drawn[:, len(ours) :].min(axis=1))
    lower, upper = interval_around(value, gaps, len(ours[0].replicates))
    return Difference(value, float(gaps.std()), lower, upper)


def _affordable(points: Sequence[Point], budget: float) -> list[int]:
    return [i for i, point in enumerate(points) if point.cost <= budget * (1 + ROUNDING)]


def knee(costs: Sequence[float], values: Sequence[float]) -> int | None:
    """Index of the frontier point farthest below the chord between the frontier's ends; value is better when lower.

    Both axes are scaled to the unit square first, so units do not matter (Satopaa et al. 2011, "Finding a 'Kneedle' in
    a Haystack", without its smoothing, which a frontier does not need). None with fewer than three frontier points and
    where none lies below the chord. The cheapest one of equals. No NaN.
    """
    kept = frontier(costs, values)
    if len(kept) < 3:
        return None
    cost, value = np.array(costs)[kept], np.array(values)[kept]
    along = (cost - cost[0]) / (cost[-1] - cost[0])
    down = (value[0] - value) / (value[0] - value[-1])
    # Times the square root of two, the distance to the chord from the upper left corner to the lower right one.
    below = down - along
    best = int(below.argmax())
    return kept[best] if below[best] > ROUNDING else None
