"""Inception Score against torch-fidelity and by its bounds."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch_fidelity.metric_isc import isc_features_to_metric

from sgbench.metrics.numerics.inception_score import inception_score


def logits(seed: int, count: int, classes: int = 30) -> np.ndarray:
    return np.random.default_rng(seed).normal(scale=3, size=(count, classes)).astype(np.float32)


@pytest.mark.parametrize("splits", [1, 4])
def test_equals_torch_fidelity_with_the_same_splits(splits: int) -> None:
    rows = logits(0, 400)
    theirs = isc_features_to_metric(torch.from_numpy(rows), splits=splits, shuffle=False)
    ours = inception_score(rows, split=400 // splits)
    assert ours.value == pytest.approx(theirs["inception_score_mean"], rel=1e-12)


def test_a_short_last_split_counts_as_one() -> None:
    rows = logits(1, 250)
    parts = [inception_score(rows[a:b]).value for a, b in ((0, 100), (100, 200), (200, 250))]
    assert inception_score(rows, split=100).value == pytest.approx(np.mean(parts), rel=1e-12)


def test_replicates_leave_groups_out_of_their_splits() -> None:
    rows = logits(2, 200)
    found = inception_score(rows)
    for group, replicate in enumerate(found.replicates):
        rest = np.delete(rows, slice(group * 10, group * 10 + 10), axis=0)
        assert replicate == pytest.approx(inception_score(rest).value, rel=1e-12)
    # A group of 10 that fills a split of 10 takes it with it.
    split = inception_score(rows, split=10)
    scores = [inception_score(np.tile(rows[i : i + 10], (2, 1))).value for i in range(0, 200, 10)]
    assert split.value == pytest.approx(np.mean(scores), rel=1e-9)
    assert split.replicates[3] == pytest.approx(np.mean(np.delete(scores, 3)), rel=1e-9)


def test_bounds() -> None:
    same = np.zeros((40, 10))
    sure = np.tile(np.eye(10) * 1e4, (4, 1))
    assert inception_score(same).value == pytest.approx(1)
    assert inception_score(sure).value == pytest.approx(10)
    assert np.isfinite(inception_score(sure * 1e3).standard_error)
