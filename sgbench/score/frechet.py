"""Frechet distance between Gaussian fits, in float64, with a delete-a-group jackknife.

The square root of the reference covariance is taken once; each distance then needs one symmetric
eigenvalue problem: d^2 = |m - r|^2 + tr S + tr R - 2 tr (R^1/2 S R^1/2)^1/2.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from sgbench.stats.jackknife import Estimate, group_bounds, jackknife

Matrix = NDArray[np.float64]


class Gaussian(NamedTuple):
    """Mean (D,) and covariance (D, D), ddof 1."""

    mean: Matrix
    covariance: Matrix


class _Sums(NamedTuple):
    """Number, sum (D,) and sum of outer products (D, D) of centred features."""

    number: int
    first: Matrix
    second: Matrix


def fit(features: NDArray[np.floating]) -> Gaussian:
    """The Gaussian fit of features (N, D). N must be at least 2."""
    wide = features.astype(np.float64)
    return Gaussian(wide.mean(axis=0), np.cov(wide, rowvar=False, ddof=1))


def square_root(covariance: Matrix) -> Matrix:
    """The symmetric square root of a covariance; rounding below zero counts as zero."""
    values, vectors = np.linalg.eigh(covariance)
    return np.asarray((vectors * np.sqrt(values.clip(min=0))) @ vectors.T)


def frechet_distance(generated: Gaussian, reference: Gaussian, reference_root: Matrix | None = None) -> float:
    """The squared 2-Wasserstein distance of two Gaussians, as every FID is."""
    root = square_root(reference.covariance) if reference_root is None else reference_root
    inner = np.linalg.eigvalsh(root @ generated.covariance @ root).clip(min=0)
    offset = generated.mean - reference.mean
    traces = np.trace(generated.covariance) + np.trace(reference.covariance)
    return float(offset @ offset + traces - 2 * np.sqrt(inner).sum())


def frechet_estimate(
    features: NDArray[np.floating], reference: Gaussian, reference_root: Matrix | None = None
) -> Estimate:
    """Distance of features (N, D) in sample order from the reference, with jackknife error and replicates."""
    root = square_root(reference.covariance) if reference_root is None else reference_root
    # Around the mean, sums of squares lose no digits.
    origin = features.mean(axis=0, dtype=np.float64)
    centred = features.astype(np.float64) - origin
    parts = [_sums(centred[start:stop]) for start, stop in group_bounds(len(features))]
    whole = _sums(centred)

    def distance(sums: _Sums) -> float:
        mean = sums.first / sums.number
        covariance = (sums.second - sums.number * np.outer(mean, mean)) / (sums.number - 1)
        return frechet_distance(Gaussian(mean + origin, covariance), reference, root)

    def without(part: _Sums) -> _Sums:
        return _Sums(whole.number - part.number, whole.first - part.first, whole.second - part.second)

    return jackknife(distance(whole), [distance(without(part)) for part in parts])


def _sums(centred: Matrix) -> _Sums:
    return _Sums(len(centred), centred.sum(axis=0), centred.T @ centred)
