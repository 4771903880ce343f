"""Hypervolume: how much of a stated box of cost and value a frontier covers, as one number per rule."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from sgbench.stats.estimates import Bounded, Difference
from sgbench.stats.frontier import Point, Vector, draws, interval_around, running_best


class Box(NamedTuple):
    """From the reference point (cost, value) to the ideal corner (cost 0, value `best`); value is better when lower."""

    cost: float
    value: float
    best: float


class Cover(NamedTuple):
    """Share of a box that some points dominate, and the same in every joint draw (D,)."""

    value: float
    drawn: Vector
    groups: int


def hypervolume(costs: Sequence[float], values: Sequence[float], box: Box) -> float:
    """Share of the box that the points dominate, from 0 to 1 (Zitzler and Thiele 1998, "Multiobjective Optimization
    Using Evolutionary Algorithms": the size of the space covered).

    Steps between the points, without interpolation. Points that cost as much as the reference or more, or are no
    better, count nothing; a point better than `best` counts as `best`. A box without height or width gives 0.
    """
    inside = np.maximum(np.array([values], dtype=np.float64), box.best)
    # Widths that add up to one may exceed it by a rounding error.
    return min(1.0, float(_covered(np.array(costs, dtype=np.float64), inside, box)[0]))


def cover(points: Sequence[Point], box: Box) -> Cover:
    """The hypervolume of one or more points; every joint draw has its own frontier. The box is taken as exact."""
    costs, values = np.array([p.cost for p in points]), [p.value for p in points]
    drawn = _covered(costs, draws(points), box)
    return Cover(hypervolume(costs.tolist(), values, box), drawn, len(points[0].replicates))


def area(found: Cover) -> Bounded:
    """A hypervolume with its interval, which stays between 0 and 1."""
    lower, upper = _interval(found.value, found.drawn, found.groups)
    return Bounded(found.value, max(lower, 0.0), min(upper, 1.0))


def area_difference(baseline: Cover, rule: Cover) -> Difference:
    """Hypervolume of the rule minus that of the baseline, in one box.

    Paired: `draws` gives any points that share their groups of images the same draws of those.
    """
    value, drawn = rule.value - baseline.value, rule.drawn - baseline.drawn
    lower, upper = _interval(value, drawn, rule.groups)
    return Difference(value, float(drawn.std()), max(lower, -1.0), min(upper, 1.0))


def _interval(value: float, drawn: Vector, groups: int) -> tuple[float, float]:
    """95 % interval of an area or a difference of two.

    Of many cells near a frontier some look better than they are, and in the draws even more so. The interval is widened
    by that bias: the distance between the mean of the draws and the estimate.
    """
    lower, upper = interval_around(value, drawn, groups)
    bias = abs(float(drawn.mean()) - value)
    return lower - bias, upper + bias


def _covered(costs: Vector, values: Vector, box: Box) -> Vector:
    """Size of what each draw's frontier dominates, in boxes, (D,) for costs (P,) and values (D, P).

    Exceeds one where values are better than `best`, as half of the draws around an estimate are.
    """
    inside = costs < box.cost
    if not inside.any() or box.best >= box.value:
        return np.zeros(len(values))
    cost, least = running_best(costs[inside], values[:, inside])
    heights = np.maximum((box.value - least) / (box.value - box.best), 0)
    widths = np.diff(cost, append=box.cost) / box.cost
    return np.asarray(heights @ widths)
