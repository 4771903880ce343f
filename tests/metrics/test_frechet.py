"""Frechet distance against torch-fidelity and clean-fid, its laws, and its fast paths against brute force."""

from __future__ import annotations

import warnings
from collections.abc import Callable

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from sgbench.metrics.numerics.frechet import (
    Gaussian,
    fit,
    frechet_distance,
    frechet_estimate,
    frechet_value,
    prepare_target,
)
from sgbench.stats.estimates import group_bounds

Features = Callable[..., np.ndarray]


def distance_between(first: Gaussian, second: Gaussian) -> float:
    return frechet_distance(first, prepare_target(second))


def torch_fidelity(first: np.ndarray, second: np.ndarray) -> float:
    from torch_fidelity.metric_fid import fid_features_to_statistics, fid_statistics_to_metric

    statistics = [fid_features_to_statistics(torch.from_numpy(f.astype(np.float64))) for f in (first, second)]
    return float(fid_statistics_to_metric(*statistics, False)["frechet_inception_distance"])


def clean_fid(first: np.ndarray, second: np.ndarray) -> float:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # it calls a deprecated signature of scipy.linalg.sqrtm
        from cleanfid.fid import fid_from_feats

        return float(fid_from_feats(first.astype(np.float64), second.astype(np.float64)))


@pytest.mark.slow
@pytest.mark.parametrize(("count", "width"), [(300, 12), (400, 128), (400, 399)])
def test_equals_torch_fidelity_and_clean_fid(features: Features, count: int, width: int) -> None:
    first, second = features(1, count, width), features(2, 500, width, shift=0.3)
    target = prepare_target(fit(second))
    assert target.triangular
    ours = frechet_estimate(first, target).value
    assert ours == pytest.approx(torch_fidelity(first, second), rel=1e-9)
    assert ours == pytest.approx(clean_fid(first, second), rel=1e-9)
    assert frechet_distance(fit(first), target) == pytest.approx(ours, rel=1e-9)


@pytest.mark.parametrize(("count", "real", "width"), [(20, 500, 48), (30, 40, 64), (300, 40, 64), (65, 64, 64)])
def test_fewer_images_than_features_is_exact(features: Features, count: int, real: int, width: int) -> None:
    """Singular covariances on either side: torch-fidelity's eigenvalues are good to 1e-8 there, and so is the value."""
    first, second = features(1, count, width), features(2, real, width, shift=0.3)
    target = prepare_target(fit(second))
    assert target.triangular == (real > width)
    ours = frechet_estimate(first, target).value
    assert ours == pytest.approx(torch_fidelity(first, second), rel=1e-6)
    centred = [f.astype(np.float64) - f.mean(axis=0, dtype=np.float64) for f in (first, second)]
    # The trace is the nuclear norm of the product of the centred features.
    trace = np.linalg.svd(centred[0] @ centred[1].T, compute_uv=False).sum() / np.sqrt((count - 1) * (real - 1))
    gap = first.mean(axis=0, dtype=np.float64) - second.mean(axis=0, dtype=np.float64)
    spread = sum((c**2).sum() / (len(c) - 1) for c in centred)
    assert ours == pytest.approx(gap @ gap + spread - 2 * trace, rel=1e-8)


@pytest.mark.parametrize(("count", "width"), [(300, 12), (20, 48), (48, 48), (49, 48)])
def test_the_value_alone_is_that_of_the_estimate(features: Features, count: int, width: int) -> None:
    first, target = features(1, count, width), prepare_target(fit(features(2, 500, width, shift=0.3)))
    assert frechet_value(first, target) == pytest.approx(frechet_estimate(first, target).value, rel=1e-9)


def test_of_gaussians_that_commute_is_known() -> None:
    first = Gaussian(np.array([1.0, 2.0]), np.diag([4.0, 9.0]))
    second = Gaussian(np.array([0.0, 0.0]), np.diag([1.0, 25.0]))
    assert distance_between(first, second) == pytest.approx(1 + 4 + (2 - 1) ** 2 + (3 - 5) ** 2)


@settings(max_examples=20, deadline=None)
@given(st.integers(0, 1000))
def test_laws(seed: int) -> None:
    rng = np.random.default_rng(seed)
    first, second = fit(rng.normal(size=(60, 5))), fit(rng.normal(size=(60, 5)) @ rng.normal(size=(5, 5)) + 0.5)
    scale = np.trace(first.covariance) + np.trace(second.covariance)
    assert distance_between(first, first) == pytest.approx(0, abs=1e-9 * scale)
    assert distance_between(first, second) == pytest.approx(distance_between(second, first), rel=1e-9)
    assert distance_between(first, second) > 0
    turn, _ = np.linalg.qr(rng.normal(size=(5, 5)))
    turned = [Gaussian(turn @ g.mean, turn @ g.covariance @ turn.T) for g in (first, second)]
    assert distance_between(*turned) == pytest.approx(distance_between(first, second), rel=1e-9)


@pytest.mark.parametrize("width", [6, 99, 101, 140], ids=lambda w: f"{w} features")
def test_jackknife_equals_refitting_without_each_group(features: Features, width: int) -> None:
    rows, target = features(3, 100, width), prepare_target(fit(features(4, 500, width, shift=0.2)))
    found = frechet_estimate(rows, target)
    brute = [
        frechet_distance(fit(np.delete(rows, slice(start, stop), axis=0)), target) for start, stop in group_bounds(100)
    ]
    # Below as many images as features, brute force takes roots of eigenvalues that are rounding.
    assert found.replicates == pytest.approx(brute, rel=1e-9 if width < 80 else 1e-6)
    assert found.value == pytest.approx(frechet_distance(fit(rows), target), rel=1e-9 if width < 80 else 1e-6)


def test_far_from_the_origin_no_digits_are_lost(features: Features) -> None:
    near, far = features(5, 200), features(6, 300, shift=0.2)
    moved = [f.astype(np.float64) + 1e6 for f in (near, far)]
    plain = frechet_estimate(near, prepare_target(fit(far))).value
    assert frechet_estimate(moved[0], prepare_target(fit(moved[1]))).value == pytest.approx(plain, rel=1e-6)
