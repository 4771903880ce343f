"""Differences between two cells that share seeds and labels, paired by jackknife group."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.special import stdtrit


class Difference(NamedTuple):
    """First minus second, its standard error and its 95 % interval."""

    value: float
    standard_error: float
    lower: float
    upper: float

    @property
    def significant(self) -> bool:
        """Whether the interval leaves out zero."""
        return self.lower > 0 or self.upper < 0


def t_quantile(groups: int) -> float:
    """Half width of a 95 % interval in standard errors: Student's t with groups - 1 degrees of freedom."""
    return float(stdtrit(groups - 1, 0.975))


def t_quantiles(groups: int, comparisons: NDArray[np.int_]) -> NDArray[np.float64]:
    """The same for each number of comparisons, so that all of them hold together with 95 % (Bonferroni)."""
    return np.asarray(stdtrit(groups - 1, 1 - 0.025 / np.maximum(comparisons, 1)))


def paired_difference(
    first: float, second: float, first_replicates: Sequence[float], second_replicates: Sequence[float]
) -> Difference:
    """Difference of two estimates whose replicates leave out the same groups of sample indices."""
    gaps = [a - b for a, b in zip(first_replicates, second_replicates, strict=True)]
    groups = len(gaps)
    mean = sum(gaps) / groups
    error = math.sqrt((groups - 1) / groups * sum((gap - mean) ** 2 for gap in gaps))
    half = t_quantile(groups) * error
    value = first - second
    return Difference(value, error, value - half, value + half)
