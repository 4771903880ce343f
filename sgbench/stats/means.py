"""Means of per-image values, plain or over tasks: the exact standard error, or one clustered by prompt.

Images of one prompt are not independent, so a prompt is what is drawn and what is deleted.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sgbench.stats.jackknife import GROUPS, Estimate, group_bounds

Vector = NDArray[np.float64]


def mean_estimate(values: NDArray[np.floating], clusters: NDArray[np.integer] | None = None) -> Estimate:
    """Mean of values (N,) in sample order, unbiased as it is, with replicates for pairing.

    The error is s / sqrt(N) with ddof 1. With clusters (N,), images of one prompt are not independent: the error is
    that of sums over clusters, sqrt(C / (C - 1) sum_c (sum_i in c (v_i - mean))^2) / N, which equals the plain one
    where every cluster holds one image. Labels that are balanced by design make it a little too large, never too small.
    """
    wide = values.astype(np.float64)
    count, mean = len(wide), float(wide.mean())
    sums = wide - mean if clusters is None else np.bincount(np.unique(clusters, return_inverse=True)[1], wide - mean)
    error = math.sqrt(len(sums) / (len(sums) - 1) * float(sums @ sums)) / count
    total = wide.sum()
    replicates = [
        float((total - wide[start:stop].sum()) / (count - (stop - start))) for start, stop in group_bounds(count)
    ]
    return Estimate(mean, error, mean, tuple(replicates))


def stratified_mean(values: NDArray[Any], strata: NDArray[np.integer], clusters: NDArray[np.integer]) -> Estimate:
    """Unweighted mean, over strata, of the mean value of each; values, strata and clusters are (N,).

    A cluster (prompt) lies in one stratum (task). The error of a stratum is sqrt(C / (C - 1) sum_c (sum_i in c
    (v_i - mean))^2) / N over its C clusters; that of the whole combines them as independent. Replicates delete every
    twentieth cluster of each stratum. Raises ValueError where a stratum has fewer than two clusters.
    """
    means, variances = [], []
    deleted = np.zeros((GROUPS, len(np.unique(strata))))
    for column, stratum in enumerate(np.unique(strata)):
        inside = strata == stratum
        mean, variance, without = _stratum(values[inside].astype(np.float64), clusters[inside])
        means.append(mean)
        variances.append(variance)
        deleted[:, column] = without
    value = sum(means) / len(means)
    error = math.sqrt(sum(variances)) / len(means)
    return Estimate(value, error, value, tuple(float(r) for r in deleted.mean(axis=1)))


def _stratum(values: Vector, clusters: NDArray[np.integer]) -> tuple[float, float, Vector]:
    """Mean, its variance, and the mean without each group of clusters (GROUPS,)."""
    names, place = np.unique(clusters, return_inverse=True)
    if len(names) < 2:
        raise ValueError("an error by cluster needs two of them")
    sums, sizes = np.bincount(place, values), np.bincount(place)
    mean = float(values.sum() / len(values))
    residuals = sums - sizes * mean
    variance = len(names) / (len(names) - 1) * float(residuals @ residuals) / len(values) ** 2
    # With fewer clusters than groups some groups delete nothing, and each cluster is deleted once.
    group = np.arange(len(names)) % GROUPS
    gone = np.array([[sums[group == g].sum(), sizes[group == g].sum()] for g in range(GROUPS)])
    left = len(values) - gone[:, 1]
    without = np.where(left > 0, (values.sum() - gone[:, 0]) / np.maximum(left, 1), mean)
    return mean, variance, without
