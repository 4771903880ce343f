"""The embedded models: packaged files are as promised, data is canonical, training resumes."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from sgbench.base.errors import UserError
from sgbench.models import embedded
from sgbench.networks.build import build
from sgbench.training.export import MAXIMUM_BYTES, export_model, thin
from sgbench.training.train import ShapeExamples, SplitExamples, batch_indices, rate, train
from sgbench.training.train_classifier import _augment
from sgbench.zoo import data, weights

MODELS = ["fashion-dense", "fashion-masking", "fashion-routing"]
ALL = [*MODELS, "shapes"]


def test_three_models_differ_in_sparsity_only_where_they_should() -> None:
    assert sorted(embedded.recipe_names()) == ALL
    recipes = {name: embedded.load_recipe(name) for name in MODELS}
    assert [recipes[name].architecture.trained_gamma for name in MODELS] == [0.0, 0.5, 0.5]
    assert len({r.training.steps for r in recipes.values()}) == 1
    assert all(r.training.label_dropout == 0.1 for r in recipes.values())
    share = {r.training.early_step / r.training.steps for r in recipes.values()}
    assert all(0.05 <= s <= 0.10 for s in share)


@pytest.mark.parametrize("name", ALL)
@pytest.mark.parametrize("checkpoint", ["final", "early"])
def test_packaged_weights_are_whole_and_fit_their_network(name: str, checkpoint: str) -> None:
    payload = weights.verified_bytes(name, checkpoint)  # type: ignore[arg-type]
    assert len(payload) <= MAXIMUM_BYTES == 6_000_000
    network = build(embedded.load_recipe(name).architecture)
    network.load_state_dict(weights.load_weights(name, checkpoint))  # type: ignore[arg-type]
    card = weights.card(name)
    assert card["parameters"] == sum(p.numel() for p in network.parameters() if p.requires_grad)
    assert card["recipe"] == embedded.load_recipe(name).model_dump(mode="json")
    assert card["licence"] == "Apache-2.0"
    if name in MODELS:
        assert card["data"]["sha256"] == data.DIGEST
    else:
        assert "red square" in card["data"]["held_out"]


def test_early_weights_are_another_model() -> None:
    final, early = (weights.load_weights("fashion-routing", kind) for kind in ("final", "early"))
    assert not torch.equal(final["blocks.3.mlp.fc1.weight"], early["blocks.3.mlp.fc1.weight"])


def test_the_shapes_model_is_small() -> None:
    card = weights.card("shapes")
    assert card["parameters"] <= 6_000_000
    assert sum(entry["bytes"] for entry in card["files"].values()) <= 15_000_000


@pytest.mark.parametrize("name", ALL)
def test_loss_fell_in_training(name: str) -> None:
    curve = weights.card(name)["loss_curve"]
    assert curve[-1][0] == embedded.load_recipe(name).training.steps
    assert curve[-1][1] < 0.6 * curve[0][1]


def test_classifier_is_good_enough_to_judge() -> None:
    assert weights.card("fashion-cnn")["accuracy_held_out"] >= 0.92


def test_a_missing_or_corrupt_weight_file_is_named(tmp_path: Path) -> None:
    path = tmp_path / "x.safetensors"
    with pytest.raises(UserError, match=r"the weight file x.safetensors is missing; reinstall"):
        weights.read_verified(path, "0" * 64)
    path.write_bytes(b"nonsense")
    with pytest.raises(
        UserError, match=r"x.safetensors: the weight file is corrupt \(sha256 .*expected 000000000000\)"
    ):
        weights.read_verified(path, "0" * 64)
    with pytest.raises(UserError, match=r"the model card nobody.json is missing"):
        weights.card("nobody")


def images(count: int) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(0)
    return rng.integers(0, 256, (count, 32, 32), dtype=np.uint8), rng.integers(0, 10, count)


def test_canonical_order_forgets_the_order_of_the_source() -> None:
    pictures, labels = images(50)
    shuffled = np.random.default_rng(1).permutation(50)
    first = data.canonical_order(pictures, labels)
    second = data.canonical_order(pictures[shuffled], labels[shuffled])
    assert np.array_equal(first[0], second[0])
    assert np.array_equal(first[1], second[1])
    assert data.digest(*first) == data.digest(*second) != data.digest(pictures, labels)


def test_incomplete_or_absent_data_is_named(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="run `sgbench zoo data` first"):
        data.load(tmp_path)
    np.savez(tmp_path / "fashion-mnist.npz", images=images(5)[0], labels=images(5)[1])
    with pytest.raises(UserError, match="is damaged"):
        data.load(tmp_path)
    whole = (tmp_path / "fashion-mnist.npz").read_bytes()
    for broken in (whole[: len(whole) // 2], whole.replace(b"labels", b"prices"), b""):
        (tmp_path / "fashion-mnist.npz").write_bytes(broken)
        with pytest.raises(
            UserError, match=r"fashion-mnist\.npz is damaged; delete it and run `sgbench zoo data` again"
        ):
            data.load(tmp_path)
    with pytest.raises(UserError, match="is not a file"):
        data.prepare(tmp_path, "somewhere.tgz")


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


def examples(name: str) -> ShapeExamples | SplitExamples:
    return ShapeExamples() if name == "shapes" else SplitExamples(data.Split(*images(40)))


@pytest.mark.slow
@pytest.mark.parametrize("name", ALL)
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
