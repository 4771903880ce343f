"""The embedded models: packaged files match their cards, data is canonical."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from sgbench.base.errors import UserError
from sgbench.models import embedded
from sgbench.networks.denoiser import build
from sgbench.training.export import MAXIMUM_BYTES
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
    recipe = embedded.load_recipe(name)
    assert type(recipe).model_validate(card["recipe"]) == recipe
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
