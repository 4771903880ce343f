"""Training of the embedded models: it resumes, its examples and rates are as planned, what it exports is whole."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from sgbench.base.errors import UserError
from sgbench.models import embedded
from sgbench.training.export import export_model, thin
from sgbench.training.train import Examples, SplitExamples, batch_indices, rate, shape_examples, train
from sgbench.training.train_classifier import _augment
from sgbench.zoo import data


def tiny_recipe(name: str = "fashion-routing", **changes: object) -> embedded.Recipe:
    base = embedded.load_recipe(name)
    sizes = {"hidden_size": 16, "depth": 7, "num_heads": 2}
    training = {"steps": 6, "early_step": 2, "batch": 4, "warmup_steps": 1, **changes}
    return base.model_copy(
        update={
            "architecture": base.architecture.model_copy(update=sizes),
            "training": base.training.model_copy(update=training),
        }
    )


def examples(name: str) -> Examples:
    if name == "shapes":
        return shape_examples
    rng = np.random.default_rng(0)
    images = rng.integers(0, 256, (40, 32, 32), dtype=np.uint8)
    return SplitExamples(data.Split(images, rng.integers(0, 10, 40)))


@pytest.mark.slow
@pytest.mark.parametrize("name", embedded.recipe_names())
def test_training_that_was_stopped_ends_as_if_it_had_not_been(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    monkeypatch.setattr("sgbench.training.train.STATE_EVERY", 3)
    monkeypatch.setattr("sgbench.training.train.LOG_EVERY", 1)
    split = examples(name)
    chosen = tiny_recipe(name)
    whole = train(chosen, split, tmp_path / "whole", "cpu", lambda _: None)

    class StoppedError(Exception):
        pass

    def stop(progress: object) -> None:
        if progress.step == 5:  # type: ignore[attr-defined]
            raise StoppedError

    with pytest.raises(StoppedError):
        train(chosen, split, tmp_path / "stopped", "cpu", stop)
    resumed = train(chosen, split, tmp_path / "stopped", "cpu", lambda _: None)
    assert resumed.curve == whole.curve
    for mine, theirs in ((resumed.ema, whole.ema), (resumed.early, whole.early)):
        assert mine.keys() == theirs.keys()
        assert all(torch.equal(mine[key], theirs[key]) for key in mine)


@pytest.mark.slow
def test_a_state_of_another_recipe_is_refused(tmp_path: Path) -> None:
    split = examples("fashion-routing")
    train(tiny_recipe(), split, tmp_path, "cpu", lambda _: None)
    with pytest.raises(UserError, match="it was trained by another recipe"):
        train(tiny_recipe(steps=7), split, tmp_path, "cpu", lambda _: None)


@pytest.mark.slow
def test_export_writes_weights_and_a_card(tmp_path: Path) -> None:
    chosen = tiny_recipe()
    trained = train(chosen, examples(chosen.name), tmp_path / "run", "cpu", lambda _: None)
    export_model(chosen, trained, tmp_path / "out")
    names = sorted(p.name for p in (tmp_path / "out").iterdir())
    assert names == [
        "fashion-routing-early.safetensors",
        "fashion-routing.json",
        "fashion-routing.safetensors",
    ]


def test_an_epoch_shows_every_image_once() -> None:
    plan = tiny_recipe().training
    first, second = ([batch_indices(plan.seed, plan.batch, 12, 3 * epoch + i) for i in range(3)] for epoch in range(2))
    assert sorted(np.concatenate(first).tolist()) == list(range(12))
    assert not np.array_equal(first, second)


def test_learning_rate_rises_stays_and_falls() -> None:
    plan = embedded.load_recipe("fashion-routing").training
    assert rate(plan, 0) == pytest.approx(1 / plan.warmup_steps)
    assert rate(plan, plan.steps // 2) == 1
    assert 0 < rate(plan, plan.steps - 1) < 0.01


def test_loss_curve_is_thinned_to_means() -> None:
    assert thin([(i + 1, float(i)) for i in range(100)], points=4) == [
        (25, 12.0),
        (50, 37.0),
        (75, 62.0),
        (100, 87.0),
    ]


def test_augmentation_only_flips_and_shifts() -> None:
    picture = torch.full((64, 1, 8, 8), -1.0)
    picture[:, 0, 3:5, 3:6] = torch.tensor([0.1, 0.2, 0.3])
    moved = _augment(picture, torch.Generator().manual_seed(0))
    assert moved.shape == picture.shape
    assert torch.allclose(moved.sum(dim=(1, 2, 3)), picture.sum(dim=(1, 2, 3)))
    assert len({tuple(image.flatten().tolist()) for image in moved}) > 10
