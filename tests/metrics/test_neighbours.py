"""Counting metrics against torch-fidelity, prdc and brute force: the counts must be equal."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
import torch

from sgbench.base.progress import Silent
from sgbench.images.sets import QUANTISATION, ImageSetInfo
from sgbench.metrics.computer import Computer
from sgbench.metrics.metric import FeatureMetric
from sgbench.metrics.numerics import neighbours as nb
from sgbench.metrics.numerics.neighbours import (
    Training,
    cloud,
    density_coverage,
    precision_recall,
    prepare_real,
)
from sgbench.metrics.references.load import load_reference
from sgbench.metrics.scores import METRICS
from sgbench.stats.estimates import group_bounds

CPU = torch.device("cpu")
Features = Callable[..., np.ndarray]
INFO = ImageSetInfo("a set", 200, "unknown", QUANTISATION, None)


@pytest.mark.parametrize("shift", [0.0, 0.8, 3.0])
def test_precision_and_recall_equal_torch_fidelity(features: Features, shift: float) -> None:
    from torch_fidelity.metric_prc import prc_features_to_metric

    generated, real = features(5, 400, shift=shift), features(6, 500)
    precision, recall = precision_recall(generated, prepare_real(real, CPU, (3,)))
    theirs = prc_features_to_metric(
        torch.from_numpy(generated), torch.from_numpy(real), prc_neighborhood=3, verbose=False
    )
    assert round(precision.value * 400) == round(theirs["precision"] * 400)
    assert round(recall.value * 500) == round(theirs["recall"] * 500)


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore::FutureWarning", "ignore::DeprecationWarning")
@pytest.mark.parametrize("k", [3, 5])
@pytest.mark.parametrize("width", [12, 256])
def test_all_four_equal_prdc(features: Features, k: int, width: int, capsys: pytest.CaptureFixture[str]) -> None:
    from prdc import compute_prdc

    generated, real = features(5, 300, width, shift=0.5), features(6, 400, width)
    theirs = compute_prdc(real, generated, nearest_k=k)
    prepared = prepare_real(real, CPU, (k,))
    precision, recall = precision_recall(generated, prepared, k)
    density, coverage = density_coverage(generated, prepared, k)
    assert round(precision.value * 300) == round(theirs["precision"] * 300)
    assert round(recall.value * 400) == round(theirs["recall"] * 400)
    assert round(density.value * 300 * k) == round(theirs["density"] * 300 * k)
    assert round(coverage.value * 400) == round(theirs["coverage"] * 400)
    assert density.value > 0
    assert 0 < recall.value < 1


@pytest.mark.slow
@pytest.mark.parametrize("spare", [0, 16])
def test_jackknife_equals_recomputing_without_each_group(
    features: Features, monkeypatch: pytest.MonkeyPatch, spare: int
) -> None:
    """With no spare neighbours every deletion takes the slow path; both must be exact."""
    monkeypatch.setattr(nb, "SPARE", spare)
    monkeypatch.setattr(nb, "BLOCK", 64)
    generated, real = features(7, 200, shift=0.8), prepare_real(features(8, 300), CPU, (3, 5))
    found = (*precision_recall(generated, real), *density_coverage(generated, real))
    for index, (start, stop) in enumerate(group_bounds(200)):
        rest = np.delete(generated, slice(start, stop), axis=0)
        for whole, again in zip(found, (*precision_recall(rest, real), *density_coverage(rest, real)), strict=True):
            assert whole.replicates[index] == pytest.approx(again.value, abs=1e-12)
    _, recall, _, coverage = found
    assert len(set(recall.replicates)) > 5
    assert len(set(coverage.replicates)) > 5


def test_deleting_a_cluster_makes_its_neighbours_look_further(features: Features) -> None:
    """A group that holds all near neighbours of a sample: more than the spare ones are gone."""
    tight = features(1, 30) * 1e-3
    generated = np.concatenate([tight, features(2, 370)])
    bounds = [(1, 30), *group_bounds(400)[2:]]
    radii = nb.radii_with_and_without(cloud(generated, torch.zeros(12)), bounds, 3)
    rest = np.delete(generated, slice(1, 30), axis=0)
    expected = nb.nearest(cloud(rest, torch.zeros(12)), 3)[0][0, 3]
    assert float(radii[1, 0]) == pytest.approx(float(expected), rel=1e-5)
    assert float(radii[1, 0]) > 100 * float(radii[0, 0])


def test_blocks_change_nothing(features: Features, monkeypatch: pytest.MonkeyPatch) -> None:
    generated, real = features(9, 150), features(10, 200)
    whole = precision_recall(generated, prepare_real(real, CPU, (3,)))
    monkeypatch.setattr(nb, "BLOCK", 17)
    assert precision_recall(generated, prepare_real(real, CPU, (3,))) == whole


def test_a_set_against_itself_is_wholly_precise_recalled_and_covered(features: Features) -> None:
    rows = features(11, 100)
    real = prepare_real(rows, CPU, (3, 5))
    precision, recall = precision_recall(rows, real)
    coverage = density_coverage(rows, real)[1]
    assert precision.value == recall.value == coverage.value == 1.0


def test_duplicates_are_their_own_neighbours(features: Features) -> None:
    """Identical images must not push a sample off its own place: radii are those of the others."""
    rows = np.concatenate([features(12, 50), features(12, 50)])
    distances = nb.nearest(cloud(rows, torch.zeros(12)), 3)[0]
    assert torch.allclose(distances[:, :2], torch.zeros(100, 2), atol=1e-3)
    assert (distances[:, 2] > 1e-3).all()


def test_copies_of_training_images_are_found(features: Features) -> None:
    training = Training(features(13, 300), CPU)
    unseen, copies = features(14, 60), features(13, 300)[40:100] + 1e-3
    brute = np.sqrt(((unseen[:, None] - features(13, 300)[None]) ** 2).sum(-1)).min(axis=1)
    assert training.distances(unseen) == pytest.approx(brute, rel=1e-4)
    assert training.distances(copies).mean() < 0.05 * brute.mean()


@pytest.mark.slow
def test_the_distance_to_training_images_is_a_mean_beside_that_of_held_out_ones() -> None:
    computer = Computer(load_reference("fashion-mnist"), ["nearest_train"], CPU, Silent())
    features = computer.reference.features("fashion-cnn", "features")[:200] + np.float32(0.1)
    training, held_out = computer.training("fashion-cnn")
    distances = training.distances(features)
    metric = METRICS["nearest_train"]
    assert isinstance(metric, FeatureMetric)
    found = metric.score(features, INFO, computer)
    assert found["value"] == pytest.approx(distances.mean(), rel=1e-6)
    assert found["standard_error"] == pytest.approx(distances.std(ddof=1) / np.sqrt(200), rel=1e-5)
    assert (found["floor"], found["floor_sd"]) == (held_out, None)
