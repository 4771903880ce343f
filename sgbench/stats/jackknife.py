"""Delete-a-group jackknife: an honest error for statistics such as the Frechet distance.

A bootstrap would add the distance's own finite-sample bias once more and miss the estimate itself; deleting
one group at a time does not. Groups are runs of consecutive samples, so that labels given in turn fall into
all of them alike.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

GROUPS = 20


class Estimate(NamedTuple):
    """A value, its standard error, the bias-corrected value and the replicates they come from."""

    value: float
    standard_error: float
    corrected: float
    replicates: tuple[float, ...]


def group_bounds(samples: int) -> list[tuple[int, int]]:
    """(start, stop) of each group: 20 of them, or 10 where there are fewer than 40 samples."""
    groups = GROUPS if samples >= 2 * GROUPS else GROUPS // 2
    if samples < 2 * groups:
        raise ValueError(f"{samples} samples cannot fill {groups} groups with two each")
    edges = np.linspace(0, samples, groups + 1).round().astype(int).tolist()
    return list(itertools.pairwise(edges))


def jackknife(value: float, replicates: Sequence[float]) -> Estimate:
    """Combine a statistic with its leave-one-group-out replicates (Efron and Stein 1981)."""
    groups = len(replicates)
    mean = sum(replicates) / groups
    variance = (groups - 1) / groups * sum((r - mean) ** 2 for r in replicates)
    return Estimate(value, math.sqrt(variance), groups * value - (groups - 1) * mean, tuple(replicates))
