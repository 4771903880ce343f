"""How sure a change is: paired or unpaired, by Student's t, corrected for the number of comparisons."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from scipy.special import stdtr, stdtrit

from sgbench.compare.lines import Score
from sgbench.stats.estimates import paired_difference


class Change(NamedTuple):
    """B minus A with its standard error, its own 95 % interval, and the p-value of no difference (two-sided)."""

    value: float
    standard_error: float
    lower: float
    upper: float
    p: float


def paired_change(a: Score, b: Score) -> Change:
    """Of scores whose replicates leave out the same groups: Student's t with groups - 1 degrees of freedom."""
    found = paired_difference(b.value, a.value, b.replicates, a.replicates)
    return Change(*found, _p(found.value, found.standard_error, len(a.replicates) - 1))


def unpaired_change(a: Score, b: Score) -> Change:
    """Of scores that share nothing: errors add up in squares, degrees of freedom by Welch (1947) and Satterthwaite."""
    variances = a.standard_error**2, b.standard_error**2
    freedoms = len(a.replicates) - 1, len(b.replicates) - 1
    error = math.sqrt(sum(variances))
    if error:
        # Shares, since squares of small variances would vanish.
        shares = [variance / sum(variances) for variance in variances]
        freedom = 1 / sum(share**2 / own for share, own in zip(shares, freedoms, strict=True))
    else:
        freedom = float(min(freedoms))
    value = b.value - a.value
    half = float(stdtrit(freedom, 0.975)) * error
    return Change(value, error, value - half, value + half, _p(value, error, freedom))


def _p(value: float, error: float, freedom: float) -> float:
    if not error:
        return 0.0 if value else 1.0
    return 2 * float(stdtr(freedom, -abs(value) / error))


def holm(p: Sequence[float]) -> list[float]:
    """P-values adjusted for their number by Holm's step-down procedure (1979, Scand. J. Statist. 6, 65-70).

    Rejecting those below a level keeps the chance of any false rejection below it, however comparisons depend.
    """
    values = np.asarray(p, dtype=float)
    order = np.argsort(values, kind="stable")
    scaled = values[order] * np.arange(len(values), 0, -1)
    adjusted = np.empty_like(values)
    adjusted[order] = np.minimum(1.0, np.maximum.accumulate(scaled))
    return adjusted.tolist()
