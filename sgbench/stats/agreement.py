"""Do two distances rank the same cells alike? Kendall's tau with its jackknife error."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from sgbench.stats.jackknife import jackknife
from sgbench.stats.paired import t_quantile


class Agreement(NamedTuple):
    """Kendall's tau-b of two rankings, 1 for the same and -1 for the reverse, with its 95 % interval."""

    tau: float
    lower: float
    upper: float


def agreement(
    first: Sequence[float],
    second: Sequence[float],
    first_replicates: Sequence[Sequence[float]],
    second_replicates: Sequence[Sequence[float]],
) -> Agreement:
    """Agreement of two metrics over the same cells, each with as many jackknife replicates of the same groups.

    Needs three cells at least. The interval holds the finite number of images, not the choice of cells.
    """
    replicates = [
        _tau(a, b)
        for a, b in zip(zip(*first_replicates, strict=True), zip(*second_replicates, strict=True), strict=True)
    ]
    found = jackknife(_tau(first, second), replicates)
    half = t_quantile(len(replicates)) * found.standard_error
    return Agreement(found.value, max(-1.0, found.value - half), min(1.0, found.value + half))


def _tau(first: Sequence[float], second: Sequence[float]) -> float:
    # Takes a second to import, and most reports have one distance.
    from scipy.stats import kendalltau

    return float(kendalltau(first, second).statistic)
