"""Estimates and their errors: jackknife, means, paired differences, rank agreement, and digits to print. No torch.

The error of statistics such as the Frechet distance comes from a delete-a-group jackknife: a bootstrap would add the
distance's finite-sample bias once more and exclude the estimate itself. Groups are runs of consecutive samples, so
that labels assigned in turn are spread evenly over them.
"""

import itertools
import math
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.special import stdtrit

GROUPS = 20
Vector = NDArray[np.float64]


class Estimate(NamedTuple):
    """A value, its standard error, the bias-corrected value and the replicates they come from."""

    value: float
    standard_error: float
    corrected: float
    replicates: tuple[float, ...]


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


class Bounded(NamedTuple):
    """A value that lies between known limits, such as a rank correlation or an area, with its 95 % interval."""

    value: float
    lower: float
    upper: float


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


def mean_estimate(values: NDArray[np.floating], clusters: NDArray[np.integer] | None = None) -> Estimate:
    """Mean of values (N,) in sample order, unbiased as it is, with replicates for pairing.

    The error is s / sqrt(N) with ddof 1. With clusters (N,), images of one prompt are not independent: the error is
    that of sums over clusters, sqrt(C / (C - 1) sum_c (sum_i in c (v_i - mean))^2) / N, which equals the plain one
    where every cluster holds one image. Labels that are balanced by design make it a little too large, never too small.
    """
    wide = values.astype(np.float64)
    count, mean, total = len(wide), float(wide.mean()), wide.sum()
    sums = wide - mean if clusters is None else np.bincount(np.unique(clusters, return_inverse=True)[1], wide - mean)
    error = math.sqrt(len(sums) / (len(sums) - 1) * float(sums @ sums)) / count
    without = [float((total - wide[a:b].sum()) / (count - (b - a))) for a, b in group_bounds(count)]
    return Estimate(mean, error, mean, tuple(without))


def stratified_mean(values: NDArray[Any], strata: NDArray[np.integer], clusters: NDArray[np.integer]) -> Estimate:
    """Unweighted mean, over strata, of the mean value of each; values, strata and clusters are (N,).

    A cluster (prompt) lies in one stratum (task). The error of a stratum is sqrt(C / (C - 1) sum_c (sum_i in c
    (v_i - mean))^2) / N over its C clusters; that of the whole combines them as independent. Replicates delete every
    twentieth cluster of each stratum. Raises ValueError where a stratum has fewer than two clusters.
    """
    inside = [strata == stratum for stratum in np.unique(strata)]
    found = [_stratum(values[own].astype(np.float64), clusters[own]) for own in inside]
    means, variances, without = zip(*found, strict=True)
    value = sum(means) / len(means)
    error = math.sqrt(sum(variances)) / len(means)
    return Estimate(value, error, value, tuple(np.stack(without, axis=1).mean(axis=1).tolist()))


def _stratum(values: Vector, clusters: NDArray[np.integer]) -> tuple[float, float, Vector]:
    """Mean, its variance, and the mean without each group of clusters (GROUPS,)."""
    names, place = np.unique(clusters, return_inverse=True)
    if len(names) < 2:
        raise ValueError("a clustered error needs at least two clusters")
    sums, sizes = np.bincount(place, values), np.bincount(place)
    mean = float(values.sum() / len(values))
    residuals = sums - sizes * mean
    variance = len(names) / (len(names) - 1) * float(residuals @ residuals) / len(values) ** 2
    # With fewer clusters than groups, some groups delete nothing and each cluster is deleted once.
    group = np.arange(len(names)) % GROUPS
    gone = np.array([[sums[group == g].sum(), sizes[group == g].sum()] for g in range(GROUPS)])
    left = len(values) - gone[:, 1]
    without = np.where(left > 0, (values.sum() - gone[:, 0]) / np.maximum(left, 1), mean)
    return mean, variance, without


def t_quantile(groups: int) -> float:
    """Half width of a 95 % interval in standard errors: Student's t with groups - 1 degrees of freedom."""
    return float(stdtrit(groups - 1, 0.975))


def t_quantiles(groups: int, comparisons: NDArray[np.int_]) -> Vector:
    """The same for each number of comparisons, so that all of them hold together with 95 % (Bonferroni)."""
    return np.asarray(stdtrit(groups - 1, 1 - 0.025 / np.maximum(comparisons, 1)))


def paired_difference(
    first: float, second: float, first_replicates: Sequence[float], second_replicates: Sequence[float]
) -> Difference:
    """Difference of two estimates whose replicates leave out the same groups of sample indices.

    Cells of a suite share seeds and labels, so that their differences are paired by jackknife group.
    """
    gaps = [a - b for a, b in zip(first_replicates, second_replicates, strict=True)]
    value, error = first - second, jackknife(0.0, gaps).standard_error
    half = t_quantile(len(gaps)) * error
    return Difference(value, error, value - half, value + half)


def agreement(
    first: Sequence[float],
    second: Sequence[float],
    first_replicates: Sequence[Sequence[float]],
    second_replicates: Sequence[Sequence[float]],
) -> Bounded:
    """Kendall's tau-b of two metrics over the same cells, three at least: 1 for one ranking, -1 for the reverse.

    Each has as many replicates of the same groups. The interval covers the finite number of images, not the choice of
    cells.
    """
    # The import takes a second, and most reports need no agreement.
    from scipy.stats import kendalltau

    groups = zip(zip(*first_replicates, strict=True), zip(*second_replicates, strict=True), strict=True)
    tau, *replicates = [float(kendalltau(a, b).statistic) for a, b in [(first, second), *groups]]
    half = t_quantile(len(replicates)) * jackknife(tau, replicates).standard_error
    return Bounded(tau, max(-1.0, tau - half), min(1.0, tau + half))


def with_error(value: float, error: float) -> str:
    """A value and its standard error, to the digits that the error leaves; empty for NaN."""
    if value != value:
        return ""
    digits = decimals(error)
    return f"{value:.{digits}f} ± {error:.{digits}f}"


def decimals(error: float) -> int:
    """Decimals that show two digits of an error, three at least: small kernel distances need more."""
    return 3 if not 0 < error < 0.005 else min(9, 1 - math.floor(math.log10(error)))
