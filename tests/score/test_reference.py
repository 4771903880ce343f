"""The packaged reference, its floor, and the protocol that goes with every value."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from sgbench.errors import UserError
from sgbench.score.extractors.fashion_cnn import extract, load_classifier
from sgbench.score.protocols import METRICS, protocol
from sgbench.score.reference import floor, load_reference
from sgbench.zoo import weights

cards = weights.card


def test_reference_has_the_shapes_of_its_card() -> None:
    reference = load_reference()
    assert reference.moments.mean.shape == (96,)
    assert reference.moments.covariance.shape == (96, 96)
    assert reference.held_out.shape == (10_000, 96)
    assert np.allclose(reference.root @ reference.root, reference.moments.covariance, atol=1e-8)


def test_floor_falls_with_the_number_of_images_and_with_balance() -> None:
    reference = load_reference()
    few, many = floor(reference, 200, "balanced"), floor(reference, 2000, "balanced")
    assert 0 < many.mean < few.mean
    assert many.sets == 4
    assert floor(reference, 200, "random").mean > few.mean
    assert floor(reference, 50_000, "random").images == 10_000


def test_a_reference_of_another_extractor_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    card = {**weights.card("fashion-reference"), "extractor_sha256": "0" * 64}
    monkeypatch.setattr(weights, "card", lambda name: card if name == "fashion-reference" else cards(name))
    load_reference.cache_clear()
    with pytest.raises(UserError, match="was made with another fashion-cnn"):
        load_reference()


def test_features_do_not_depend_on_the_batch() -> None:
    device = torch.device("cpu")
    model = load_classifier(device)
    images = np.random.default_rng(0).integers(0, 256, size=(600, 32, 32, 1), dtype=np.uint8)
    whole, part = extract(model, images, device), extract(model, images[490:510], device)
    assert np.allclose(whole.features[490:510], part.features, rtol=1e-5, atol=1e-6)
    assert np.array_equal(whole.classes[490:510], part.classes)


def test_whatever_changes_a_value_changes_its_protocol() -> None:
    base = protocol("fd", 1000, "balanced", "fashion-mnist")
    others = [
        protocol("fd", 1001, "balanced", "fashion-mnist"),
        protocol("fd", 1000, "random", "fashion-mnist"),
        protocol("precision", 1000, "balanced", "fashion-mnist"),
        base._replace(extractor_sha256="0"),
        base._replace(reference_sha256="0"),
        base._replace(variant="another"),
    ]
    assert len({p.id for p in [base, *others]}) == len(others) + 1


def test_a_protocol_in_words_names_everything() -> None:
    text = protocol("fd", 1000, "balanced", "fashion-mnist").describe()
    for part in (
        "FD[fashion-cnn]",
        "Frechet",
        "N = 1000",
        "balanced",
        "uint8",
        "training images",
        "fashion-cnn",
    ):
        assert part in text


def test_no_distance_here_is_called_fid() -> None:
    assert not any("FID" in metric.title for metric in METRICS.values())
