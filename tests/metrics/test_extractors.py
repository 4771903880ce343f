"""Extractors against the networks they port, on the same weights; and what every extractor must do."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file

from sgbench import api
from sgbench.base.errors import UserError
from sgbench.metrics.catalogue import METRICS, check_names
from sgbench.metrics.extract import channels_for, exact_arithmetic, load_extractor, rebatched
from sgbench.metrics.extractors import EXTRACTORS

CPU = torch.device("cpu")
GOLDEN = Path(__file__).parents[1] / "golden" / "extractors"


def images(count: int, side: int = 32, channels: int = 3, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, size=(count, side, side, channels), dtype=np.uint8)


@pytest.mark.slow
def test_inception_equals_torch_fidelity(random_inception: Path) -> None:
    from torch_fidelity.feature_extractor_inceptionv3 import FeatureExtractorInceptionV3

    theirs = FeatureExtractorInceptionV3(
        "oracle", ["2048", "logits_unbiased"], feature_extractor_weights_path=str(random_inception)
    )
    seen = []
    theirs.Mixed_6d.branch1x1.register_forward_hook(lambda module, inputs, output: seen.append(output))
    batch = images(3, 40)
    features, logits = theirs(torch.from_numpy(batch).permute(0, 3, 1, 2))
    ours = load_extractor("inception", CPU).network(torch.from_numpy(batch).permute(0, 3, 1, 2))
    assert torch.equal(ours["features"], features)
    assert torch.equal(ours["logits"], logits)
    # ADM's evaluator: NHWC, the first seven channels, flattened.
    spatial = seen[0].permute(0, 2, 3, 1)[..., :7].reshape(3, -1)
    assert torch.equal(ours["spatial"], spatial)
    assert ours["spatial"].shape == (3, 2023)
    assert features.std(dim=0).max() > 0


def test_clean_inception_sees_what_clean_fid_shows(random_inception: Path) -> None:
    from cleanfid.resize import build_resizer

    from sgbench.metrics.extractors.inception import clean_resize, tensorflow_resize

    batch = torch.from_numpy(images(2, 64)).permute(0, 3, 1, 2)
    shown = np.stack([build_resizer("clean")(image) for image in batch.permute(0, 2, 3, 1).numpy()])
    assert np.array_equal(clean_resize(batch).permute(0, 2, 3, 1).numpy(), shown)
    assert not torch.allclose(clean_resize(batch), tensorflow_resize(batch), atol=1)


def test_dinov2_equals_the_published_network(tmp_path: Path) -> None:
    """Recorded from facebookresearch/dinov2, narrow and shallow, at 224 pixels from a position table for 518."""
    from sgbench.metrics.extractors.dinov2 import load

    stored = load_file(GOLDEN / "dinov2.safetensors")
    state = {name.removeprefix("state/"): t.float() for name, t in stored.items() if name.startswith("state/")}
    torch.save(state, tmp_path / "golden.pth")
    network = load([tmp_path / "golden.pth"], CPU, depth=2, heads=2)
    with torch.inference_mode():
        found = network(stored["in/x"])["features"]
    assert torch.allclose(found, stored["out/features"], atol=1e-5)


def test_clip_embeddings_are_open_clips_and_of_length_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import open_clip

    from sgbench.metrics.extractors.clip import load

    vision = {"image_size": 28, "layers": 2, "width": 64, "patch_size": 14}
    text = {"context_length": 8, "vocab_size": 100, "width": 32, "heads": 2, "layers": 1}
    torch.manual_seed(0)
    tower = open_clip.CLIP(embed_dim=16, vision_cfg=vision, text_cfg=text, quick_gelu=True).eval()
    torch.save(tower.state_dict(), tmp_path / "clip.pt")
    empty = open_clip.CLIP(embed_dim=16, vision_cfg=vision, text_cfg=text, quick_gelu=True)
    monkeypatch.setattr(open_clip, "create_model", lambda *arguments, **named: empty)
    batch = torch.from_numpy(images(2, 28)).permute(0, 3, 1, 2)
    with torch.inference_mode():
        found = load([tmp_path / "clip.pt"], CPU)(batch)["features"]
        mean, deviation = (
            torch.tensor(x)[:, None, None] for x in (open_clip.OPENAI_DATASET_MEAN, open_clip.OPENAI_DATASET_STD)
        )
        theirs = tower.encode_image((batch / 255 - mean) / deviation, normalize=True)
    assert torch.allclose(found, theirs, atol=1e-5)
    assert torch.allclose(found.norm(dim=1), torch.ones(2), atol=1e-5)


def test_clip_is_built_with_the_activation_it_was_trained_with() -> None:
    import open_clip

    from sgbench.metrics.extractors.clip import MODEL

    assert open_clip.get_model_config(MODEL)["quick_gelu"] is True


@pytest.mark.full
@pytest.mark.slow
def test_lite0_separates_the_garments() -> None:
    """Nearest class mean in its features, on the reference's own images: a wrong layer order would be at chance."""
    from sgbench.cells.cell import Cell
    from sgbench.guidance.settings import Guidance
    from sgbench.samplers.settings import Sampler
    from sgbench.sampling.engine import sample
    from sgbench.sampling.networks import load_networks

    cell = Cell("fashion-routing", Guidance("cfg", 1.5), Sampler("euler", 4), 0, "balanced", "float32")
    drawn = sample(cell, load_networks(cell, False, CPU), range(120), CPU).images.numpy()
    kept = load_extractor("lite0", CPU)([drawn], "test")["features"]
    found = kept.astype(np.float32)
    assert found.shape == (120, 1280)
    assert found.min() == 0
    assert found.max() <= 6
    labels = np.arange(120) % 10
    means = np.stack([found[:60][labels[:60] == c].mean(axis=0) for c in range(10)])
    seen = ((found[60:, None] - means) ** 2).sum(-1).argmin(1)
    assert (seen == labels[60:]).mean() > 0.5


@pytest.mark.slow
@pytest.mark.parametrize("name", ["fashion-cnn", "lite0"])
def test_features_depend_neither_on_parts_nor_on_what_comes_after(name: str) -> None:
    loaded = load_extractor(name, CPU)
    loaded.batch = 16
    batch = images(40, channels=1)
    whole = loaded([batch], "test")["features"]
    assert np.array_equal(whole, loaded([batch[:5], batch[5:33], batch[33:]], "test")["features"])
    assert np.array_equal(whole[:32], loaded([batch[:32]], "test")["features"])
    assert np.allclose(whole[32:36], loaded([batch[:36]], "test")["features"][32:], rtol=1e-3, atol=1e-3)


def test_rebatching_keeps_order_and_number() -> None:
    parts = [np.arange(n)[:, None] + 100 * i for i, n in enumerate((3, 10, 0, 1, 7))]
    batches = list(rebatched(parts, 4))  # type: ignore[arg-type]
    assert [len(b) for b in batches] == [4, 4, 4, 4, 4, 1]
    assert np.array_equal(np.concatenate(batches), np.concatenate(parts))


def test_grey_is_repeated_and_colour_is_never_made_grey() -> None:
    grey = images(2, 32, 1)
    assert np.array_equal(channels_for(EXTRACTORS["lite0"], grey, "x"), np.repeat(grey, 3, axis=3))
    with pytest.raises(
        UserError,
        match=r"folder: fashion-cnn takes grey images of 32 x 32 pixels, and these are 32 x 32 with 3 channels",
    ):
        channels_for(EXTRACTORS["fashion-cnn"], images(2), "folder")


def test_half_precision_is_kept_only_where_it_is_lost_in_the_spread() -> None:
    from sgbench.metrics.extract import halved
    from sgbench.metrics.numerics.frechet import fit, frechet_estimate, prepare_target

    rng = np.random.default_rng(0)
    # Many zeros and sixes, which half precision holds exactly, as in Lite0.
    spread = rng.normal(-1, 9, size=(400, 64)).clip(0, 6).astype(np.float32)
    target = prepare_target(fit(rng.normal(0, 9, size=(3000, 64)).clip(0, 6)))
    assert halved(spread).dtype == np.float16
    full, half = (frechet_estimate(f, target).value for f in (spread, halved(spread)))
    assert half == pytest.approx(full, rel=1e-5)
    assert half != full
    flat = (0.5 + 0.01 * spread).astype(np.float32)
    assert halved(flat) is flat
    assert halved(np.full((30, 4), 1e6, np.float32) * spread[:30, :4]).dtype == np.float32


def test_values_that_are_not_finite_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    loaded = load_extractor("fashion-cnn", CPU)

    def broken(batch: torch.Tensor) -> dict[str, torch.Tensor]:
        found = torch.zeros(len(batch), 96)
        found[7] = torch.nan
        return {"features": found, "classes": torch.zeros(len(batch))}

    loaded.network = broken
    with pytest.raises(
        UserError, match=r"cell: fashion-cnn gives values that are not finite for 1 images \(the first is number 7\)"
    ):
        loaded([images(20, channels=1)], "cell")


def test_fast_modes_are_off_while_features_are_made() -> None:
    before = torch.backends.cudnn.allow_tf32
    torch.backends.cuda.matmul.allow_tf32 = True
    try:
        with exact_arithmetic():
            assert not torch.backends.cuda.matmul.allow_tf32
            assert not torch.backends.cudnn.allow_tf32
        assert torch.backends.cuda.matmul.allow_tf32
        assert torch.backends.cudnn.allow_tf32 == before
    finally:
        torch.backends.cuda.matmul.allow_tf32 = False


@pytest.mark.slow
def test_weights_of_another_network_are_refused(
    tmp_path: Path, any_digest: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SGBENCH_WEIGHTS", str(tmp_path))
    torch.save({"conv.weight": torch.zeros(3)}, tmp_path / "weights-inception-2015-12-05-6726825d.pth")
    with pytest.raises(UserError, match=r"weights-inception-2015-12-05-6726825d\.pth"):
        load_extractor("inception", CPU)


@pytest.mark.parametrize(("metric", "name", "near"), [("fd", "fashion-cn", "fashion-cnn"), ("hpsv3", "hpsv4", "hpsv3")])
def test_a_metric_that_names_an_unknown_extractor_or_judge_is_refused_when_a_suite_is_read(
    metric: str, name: str, near: str, suite_file: Callable[..., Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(METRICS, metric, replace(METRICS[metric], extractor=name))
    with pytest.raises(
        UserError, match=rf"metrics: {metric}: there is no extractor or judge '{name}', did you mean '{near}'\?"
    ):
        api.load_suite(suite_file(metrics=[metric]))
    with pytest.raises(UserError, match=f"--metrics: {metric}: there is no extractor or judge"):
        check_names([metric])
