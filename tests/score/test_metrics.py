"""Metrics against the reference implementations, and their fast paths against brute force."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from sgbench.score import precision_recall as pr
from sgbench.score.frechet import fit, frechet_distance, frechet_estimate
from sgbench.score.label_agreement import label_agreement
from sgbench.stats.jackknife import group_bounds

CPU = torch.device("cpu")


def features(seed: int, count: int, width: int = 12, shift: float = 0.0) -> np.ndarray:
    rng = np.random.default_rng(seed)
    mixing = np.random.default_rng(99).normal(size=(width, width))
    return (rng.normal(size=(count, width)) @ mixing + shift).astype(np.float32)


@pytest.mark.parametrize(("count", "width"), [(300, 12), (20, 48)], ids=["full rank", "fewer images than features"])
def test_frechet_distance_equals_torch_fidelity_and_clean_fid(count: int, width: int) -> None:
    from torch_fidelity.metric_fid import fid_features_to_statistics, fid_statistics_to_metric

    first, second = features(1, count, width), features(2, 500, width, shift=0.3)
    ours = frechet_distance(fit(first), fit(second))
    statistics = [fid_features_to_statistics(torch.from_numpy(f.astype(np.float64))) for f in (first, second)]
    theirs = fid_statistics_to_metric(*statistics, False)["frechet_inception_distance"]
    assert ours == pytest.approx(theirs, rel=1e-6)
    mean_1, cov_1, mean_2, cov_2 = (part for f in (first, second) for part in fit(f))
    assert ours == pytest.approx(_clean_fid_distance(mean_1, cov_1, mean_2, cov_2), rel=1e-5)


def _clean_fid_distance(mean_1: np.ndarray, cov_1: np.ndarray, mean_2: np.ndarray, cov_2: np.ndarray) -> float:
    import warnings

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # it calls a deprecated signature of scipy.linalg.sqrtm
        from cleanfid.fid import frechet_distance as theirs

        return float(theirs(mean_1, cov_1, mean_2, cov_2))


@settings(max_examples=20, deadline=None)
@given(st.integers(0, 1000))
def test_frechet_laws(seed: int) -> None:
    first, second = fit(features(seed, 60, 5)), fit(features(seed + 1, 60, 5, shift=0.5))
    assert frechet_distance(first, first) == pytest.approx(0, abs=1e-9 * np.trace(first.covariance))
    assert frechet_distance(first, second) == pytest.approx(frechet_distance(second, first), rel=1e-9)
    assert frechet_distance(first, second) > 0


def test_frechet_jackknife_equals_refitting_without_each_group() -> None:
    rows, reference = features(3, 100), fit(features(4, 500))
    found = frechet_estimate(rows, reference)
    brute = [
        frechet_distance(fit(np.delete(rows, slice(start, stop), axis=0)), reference)
        for start, stop in group_bounds(100)
    ]
    assert found.replicates == pytest.approx(brute, rel=1e-9)
    assert found.value == pytest.approx(frechet_distance(fit(rows), reference), rel=1e-9)


def test_precision_and_recall_equal_torch_fidelity() -> None:
    from torch_fidelity.metric_prc import prc_features_to_metric

    generated, real = features(5, 200, shift=0.8), features(6, 300)
    ours = pr.precision_recall(generated, pr.prepare_real(real, CPU))
    theirs = prc_features_to_metric(
        torch.from_numpy(generated), torch.from_numpy(real), prc_neighborhood=3, verbose=False
    )
    assert ours.precision.value == pytest.approx(theirs["precision"], abs=1e-6)
    assert ours.recall.value == pytest.approx(theirs["recall"], abs=1e-6)
    assert 0 < ours.precision.value < 1
    assert 0 < ours.recall.value < 1


@pytest.mark.parametrize("spare", [0, 16])
def test_recall_jackknife_equals_recomputing_without_each_group(monkeypatch: pytest.MonkeyPatch, spare: int) -> None:
    """With no spare neighbours every deletion takes the slow path; both must be exact."""
    monkeypatch.setattr(pr, "SPARE", spare)
    monkeypatch.setattr(pr, "BLOCK", 64)
    generated, real = features(7, 200, shift=0.8), pr.prepare_real(features(8, 300), CPU)
    found = pr.precision_recall(generated, real)
    for index, (start, stop) in enumerate(group_bounds(200)):
        rest = torch.from_numpy(np.delete(generated, slice(start, stop), axis=0))
        recall = pr._covered(real.features, rest, pr._radii(rest, 3)[None]).double().mean()
        assert found.recall.replicates[index] == pytest.approx(float(recall), abs=1e-9)
        precision = pr._covered(rest, real.features, real.radii[None]).double().mean()
        assert found.precision.replicates[index] == pytest.approx(float(precision), abs=1e-9)


def test_blocks_do_not_change_precision_and_recall(monkeypatch: pytest.MonkeyPatch) -> None:
    generated, real = features(9, 150), features(10, 200)
    whole = pr.precision_recall(generated, pr.prepare_real(real, CPU))
    monkeypatch.setattr(pr, "BLOCK", 17)
    assert pr.precision_recall(generated, pr.prepare_real(real, CPU)) == whole


def test_a_set_against_itself_is_wholly_precise_and_recalled() -> None:
    rows = features(11, 100)
    found = pr.precision_recall(rows, pr.prepare_real(rows, CPU))
    assert found.precision.value == found.recall.value == 1.0


def test_label_agreement_is_a_share_with_a_binomial_error() -> None:
    asked = np.arange(1000) % 10
    seen = asked.copy()
    wrong = np.random.default_rng(0).permutation(1000)[:100]
    seen[wrong] = (seen[wrong] + 1) % 10
    found = label_agreement(seen, asked)
    assert found.value == 0.9
    assert found.standard_error == pytest.approx(np.sqrt(0.9 * 0.1 / 1000), rel=0.5)
