"""Kernel distances against torch-fidelity, a plain formula, and brute force."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
import torch

from sgbench.metrics.numerics import kernel_distance as kd
from sgbench.stats.estimates import group_bounds

CPU = torch.device("cpu")
Features = Callable[..., np.ndarray]


def test_kid_equals_torch_fidelity_over_all_images(features: Features) -> None:
    """One subset of all images is the same estimator as ours."""
    from torch_fidelity.metric_kid import kid_features_to_metric

    generated, real = (features(s, 200, shift=0.2 * s).astype(np.float64) for s in (0, 1))
    theirs = kid_features_to_metric(
        torch.from_numpy(generated), torch.from_numpy(real), kid_subsets=1, kid_subset_size=200, verbose=False
    )
    ours = kd.kernel_estimate(generated, kd.prepare_kid(real, CPU))
    assert ours.value == pytest.approx(theirs["kernel_inception_distance_mean"], rel=1e-9)


@pytest.mark.slow
def test_kid_is_what_random_subsets_estimate(features: Features) -> None:
    from torch_fidelity.metric_kid import kid_features_to_metric

    generated, real = features(0, 600), features(1, 800, shift=0.1)
    theirs = kid_features_to_metric(
        torch.from_numpy(generated), torch.from_numpy(real), kid_subsets=200, kid_subset_size=100, verbose=False
    )
    spread = theirs["kernel_inception_distance_std"] / np.sqrt(200)
    ours = kd.kernel_estimate(generated, kd.prepare_kid(real, CPU))
    assert abs(ours.value - theirs["kernel_inception_distance_mean"]) < 4 * spread


def test_cmmd_is_the_published_formula(features: Features) -> None:
    """1,000 (mean k(x, x') + mean k(y, y') - 2 mean k(x, y)), k = exp(-|x - y|^2 / 200), every pair."""
    x, y = (features(s, n).astype(np.float64) for s, n in ((0, 90), (1, 130)))

    def mean(a: np.ndarray, b: np.ndarray) -> float:
        return float(np.exp(-((a[:, None] - b[None]) ** 2).sum(-1) / 200).mean())

    ours = kd.kernel_estimate(x, kd.prepare_cmmd(y, CPU))
    assert ours.value == pytest.approx(1000 * (mean(x, x) + mean(y, y) - 2 * mean(x, y)), rel=1e-9)


@pytest.mark.slow
@pytest.mark.parametrize("prepare", [kd.prepare_kid, kd.prepare_cmmd])
def test_jackknife_equals_leaving_each_group_out(
    features: Features, prepare: Callable[..., kd.KernelTarget], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(kd, "BLOCK", 37)
    generated, target = features(0, 90), prepare(features(1, 70, shift=0.3), CPU)
    found = kd.kernel_estimate(generated, target)
    for (start, stop), replicate in zip(group_bounds(90), found.replicates, strict=True):
        rest = kd.kernel_estimate(np.delete(generated, slice(start, stop), axis=0), target)
        assert replicate == pytest.approx(rest.value, rel=1e-9)


@pytest.mark.slow
def test_of_one_distribution_kid_is_nothing_and_may_be_negative(features: Features) -> None:
    found = [kd.kernel_estimate(features(s, 100), kd.prepare_kid(features(s + 50, 400), CPU)).value for s in range(20)]
    assert min(found) < 0 < max(found)
    assert abs(np.mean(found)) < 3 * np.std(found) / np.sqrt(20)


def test_cmmd_of_a_set_with_itself_is_nothing(features: Features) -> None:
    rows = features(3, 50)
    assert kd.kernel_estimate(rows, kd.prepare_cmmd(rows, CPU)).value == pytest.approx(0, abs=1e-9)
