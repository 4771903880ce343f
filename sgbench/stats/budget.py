"""Best quality at a fixed budget: what each rule reaches for so much compute, of the cells that were measured."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from sgbench.stats.frontier import Point, draws, interval_around
from sgbench.stats.paired import Difference

# Costs are products in floating point: half of twenty steps must still pay for ten.
ROUNDING = 1e-9


def best_within(points: Sequence[Point], budget: float) -> int | None:
    """Index of the best point of no greater cost than the budget, the cheapest of equals; None where all cost more.

    Measured points only, nothing is interpolated. Values hold no NaN.
    """
    affordable = _affordable(points, budget)
    return min(affordable, key=lambda i: (points[i].value, points[i].cost), default=None)


def budget_difference(baseline: Sequence[Point], rule: Sequence[Point], budget: float) -> Difference | None:
    """Best value of the rule within the budget minus that of the baseline, with a 95 % interval.

    In every joint draw the best cells are found anew, so the interval holds the doubt about which they are. None where
    either has no cell within the budget.
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
