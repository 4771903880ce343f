"""Frechet distance between Gaussian fits, in float64, exact at any number of images, with a delete-a-group jackknife.

d^2 = |m - r|^2 + tr S + tr R - 2 tr (S R)^1/2. With any factor R = F F^T the last trace is the sum of the square roots
of the eigenvalues of F^T S F, which is symmetric: they are real and never negative. The factor is kept for all cells,
so one distance is one symmetric eigenvalue problem. With fewer images than features the same eigenvalues come from the
N x N products of the centred images, and no covariance is ever regularised.
"""

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.linalg import LinAlgError, cholesky, eigvalsh
from scipy.linalg.lapack import dsygst

from sgbench.stats.estimates import Estimate, group_bounds, jackknife

Matrix = NDArray[np.float64]


class Gaussian(NamedTuple):
    """Mean (D,) and covariance (D, D), ddof 1."""

    mean: Matrix
    covariance: Matrix


class Target(NamedTuple):
    """A reference prepared once for all cells: mean, trace of the covariance and a factor (D, r) of it.

    The factor is the lower Cholesky factor where the covariance is definite, else its eigenvectors scaled.
    """

    mean: Matrix
    trace: float
    factor: Matrix
    triangular: bool


class _Sums(NamedTuple):
    """Number, sum (D,) and sum of outer products (D, D) of centred features."""

    number: int
    first: Matrix
    second: Matrix


def fit(features: NDArray[np.floating]) -> Gaussian:
    """The Gaussian fit of features (N, D). N must be at least 2."""
    wide = features.astype(np.float64)
    mean = wide.mean(axis=0)
    wide -= mean
    return Gaussian(mean, wide.T @ wide / (len(wide) - 1))


def prepare_target(reference: Gaussian) -> Target:
    """Factor a reference's covariance."""
    trace = float(np.trace(reference.covariance))
    # Cholesky may succeed by chance on a matrix that is singular up to rounding; a clear margin counts as definite.
    values, vectors = np.linalg.eigh(reference.covariance)
    limit = len(values) * np.finfo(np.float64).eps * max(float(values[-1]), 0.0)
    if values[0] > 1e3 * limit:
        try:
            factor = cholesky(reference.covariance, lower=True, check_finite=False)
            return Target(reference.mean, trace, np.asfortranarray(factor), True)
        except LinAlgError:
            pass
    kept = values > limit
    return Target(reference.mean, trace, vectors[:, kept] * np.sqrt(values[kept]), False)


def frechet_distance(generated: Gaussian, target: Target) -> float:
    """The squared 2-Wasserstein distance of two Gaussians, as every FID is."""
    return _combine(generated.mean, float(np.trace(generated.covariance)), _inner(generated.covariance, target), target)


def frechet_value(features: NDArray[np.floating], target: Target) -> float:
    """Distance of features (N, D), without its standard error."""
    if _are_few(features, target):
        return _products(features, target)(np.arange(len(features)))
    return frechet_distance(fit(features), target)


def frechet_estimate(features: NDArray[np.floating], target: Target) -> Estimate:
    """Distance of features (N, D) in sample order, with jackknife error, bias-corrected value and replicates."""
    if not _are_few(features, target):
        return _from_moments(features, target)
    distance, everything = _products(features, target), np.arange(len(features))
    replicates = [distance(np.delete(everything, slice(start, stop))) for start, stop in group_bounds(len(features))]
    return jackknife(distance(everything), replicates)


def _are_few(features: NDArray[np.floating], target: Target) -> bool:
    return len(features) <= target.factor.shape[1]


def _inner(covariance: Matrix, target: Target) -> Matrix:
    """Eigenvalues of F^T S F."""
    if target.triangular:
        # LAPACK's reduction L^T S L uses both symmetries: half the work of two products.
        inner, failed = dsygst(covariance.T, target.factor, itype=2, lower=1)
        if failed:
            raise ValueError(f"dsygst refused argument {-failed}")
    else:
        inner = target.factor.T @ covariance @ target.factor
    return _eigenvalues(inner)


def _eigenvalues(symmetric: Matrix) -> Matrix:
    return np.asarray(eigvalsh(symmetric, lower=True, driver="evd", overwrite_a=True, check_finite=False))


def _combine(mean: Matrix, trace: float, inner: Matrix, target: Target) -> float:
    offset = mean - target.mean
    return float(offset @ offset + trace + target.trace - 2 * np.sqrt(inner.clip(min=0)).sum())


def _from_moments(features: NDArray[np.floating], target: Target) -> Estimate:
    """At least as many images as features: sums per group, and one eigenvalue problem a replicate."""
    # Around the mean, sums of squares lose no digits.
    origin = features.mean(axis=0, dtype=np.float64)
    parts = [_sums(features[start:stop].astype(np.float64) - origin) for start, stop in group_bounds(len(features))]
    whole = _Sums(*(sum(of[1:], start=of[0]) for of in zip(*parts, strict=True)))

    def distance(sums: _Sums) -> float:
        mean = sums.first / sums.number
        covariance = (sums.second - sums.number * np.outer(mean, mean)) / (sums.number - 1)
        return frechet_distance(Gaussian(mean + origin, covariance), target)

    def without(part: _Sums) -> _Sums:
        return _Sums(whole.number - part.number, whole.first - part.first, whole.second - part.second)

    return jackknife(distance(whole), [distance(without(part)) for part in parts])


def _products(features: NDArray[np.floating], target: Target) -> Callable[[NDArray[np.intp]], float]:
    """Distance of a subset of images: S has the eigenvalues of their products, N x N, centred for each subset."""
    origin = features.mean(axis=0, dtype=np.float64)
    centred = features.astype(np.float64) - origin
    seen = centred @ target.factor
    products = seen @ seen.T
    squares = np.einsum("nd,nd->n", centred, centred)

    def distance(kept: NDArray[np.intp]) -> float:
        count = len(kept)
        mean = centred[kept].mean(axis=0)
        trace = float(squares[kept].sum() - count * mean @ mean) / (count - 1)
        part = products[np.ix_(kept, kept)]
        rows = part.mean(axis=0)
        part = part - rows - rows[:, None] + rows.mean()
        # Centring makes one eigenvalue zero; the square root would magnify its rounding error.
        inner = _eigenvalues(part / (count - 1))[1:]
        return _combine(mean + origin, trace, inner, target)

    return distance


def _sums(centred: Matrix) -> _Sums:
    return _Sums(len(centred), centred.sum(axis=0), centred.T @ centred)
