"""Means of per-image values: the exact standard error, or one clustered by prompt."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from sgbench.stats.jackknife import Estimate, group_bounds


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
