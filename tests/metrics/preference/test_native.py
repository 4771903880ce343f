"""Native scorers against the networks that they port, on the same small random weights."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import open_clip
import pytest
import torch
from safetensors.torch import save_file

from sgbench.base.errors import NoScoreError, UserError
from sgbench.metrics.judges.catalogue import JUDGES
from sgbench.metrics.preference import cosine
from sgbench.metrics.preference.cosine import VIT_H, VIT_L, Config, CosineScorer, published, shortest_side

CPU = torch.device("cpu")
Pairs = tuple[list[np.ndarray], list[str]]
NATIVE = [name for name, judge in JUDGES.items() if judge.code.startswith("preference.cosine:")]


def load(name: str, path: Path) -> CosineScorer:
    judge = JUDGES[name]
    loaded: CosineScorer = getattr(cosine, judge.code.partition(":")[2])(judge, [path], CPU)
    return loaded


@pytest.fixture
def small(config: Config, monkeypatch: pytest.MonkeyPatch) -> None:
    """open_clip's models are of a small size."""
    sizes = {VIT_H: config, VIT_L: {**config, "quick_gelu": True}}
    monkeypatch.setattr(cosine, "published", sizes.__getitem__)


@pytest.mark.slow
@pytest.mark.parametrize("batch", [1, 3, 8])
@pytest.mark.usefixtures("small")
def test_batches_and_neighbours_change_no_score(checkpoint: Path, config: Config, pairs: Pairs, batch: int) -> None:
    scorer = load("hpsv2.1", checkpoint)
    whole = scorer(*pairs)
    scorer.batch = batch
    order = np.random.default_rng(batch).permutation(len(whole))
    images, prompts = pairs
    found = scorer([images[i] for i in order], [prompts[i] for i in order])
    assert np.abs(found - whole[order]).max() < 1e-6
    assert np.ptp(whole) > 0.05
    assert scorer([], []).shape == (0,)


@pytest.mark.slow
@pytest.mark.usefixtures("small")
def test_a_checkpoint_may_be_bare_wrapped_or_prefixed_and_in_half_precision(
    checkpoint: Path, network: open_clip.CLIP, config: Config, pairs: Pairs, tmp_path: Path
) -> None:
    wrapped = load("hpsv2", checkpoint)(*pairs)
    state = network.state_dict()
    torch.save(state, tmp_path / "bare.pt")
    torch.save({"state_dict": {f"module.{name}": t for name, t in state.items()}}, tmp_path / "prefixed.pt")
    for name in ("bare.pt", "prefixed.pt"):
        assert np.array_equal(load("hpsv2", tmp_path / name)(*pairs), wrapped)
    torch.save({"state_dict": {name: t.half() for name, t in state.items()}}, tmp_path / "half.pt")
    half = load("hpsv2", tmp_path / "half.pt")
    assert half.network.visual.proj.dtype == torch.float32
    assert half(*pairs) == pytest.approx(wrapped, abs=0.02)


@pytest.mark.slow
@pytest.mark.usefixtures("small")
def test_clipscore_is_the_cosine_without_its_negative_half(
    network: open_clip.CLIP, config: Config, pairs: Pairs, tmp_path: Path
) -> None:
    save_file(network.state_dict(), tmp_path / "open_clip_model.safetensors")
    quick = {**config, "quick_gelu": True}
    found = load("clipscore", tmp_path / "open_clip_model.safetensors")(*pairs)
    theirs = open_clip.CLIP(**quick).eval()
    theirs.load_state_dict(network.state_dict())
    with torch.inference_mode():
        pictures = theirs.encode_image(torch.stack([shortest_side(x, 224) for x in pairs[0]]), normalize=True)
        texts = theirs.encode_text(open_clip.get_tokenizer("ViT-L-14")(pairs[1]), normalize=True)
        cosines = (pictures @ texts.T).diagonal().numpy()
    assert cosines.min() < 0 < cosines.max()
    assert found == pytest.approx(cosines.clip(0), abs=1e-6)


@pytest.mark.slow
@pytest.mark.usefixtures("small")
def test_pickscore_equals_transformers_network(pairs: Pairs, config: Config, tmp_path: Path) -> None:
    """CLIPModel is what the weights are published for; its embeddings by its own names, its own tokens cut at 77."""
    from transformers import CLIPConfig, CLIPModel

    vision, text = config["vision_cfg"], config["text_cfg"]
    with torch.random.fork_rng():
        torch.manual_seed(1)
        theirs = CLIPModel(
            CLIPConfig(
                vision_config={
                    "hidden_size": vision["width"],
                    "intermediate_size": 4 * vision["width"],
                    "num_hidden_layers": vision["layers"],
                    "num_attention_heads": vision["width"] // vision["head_width"],
                    "image_size": vision["image_size"],
                    "patch_size": vision["patch_size"],
                    "hidden_act": "gelu",
                },
                text_config={
                    "hidden_size": text["width"],
                    "intermediate_size": 4 * text["width"],
                    "num_hidden_layers": text["layers"],
                    "num_attention_heads": text["heads"],
                    "vocab_size": text["vocab_size"],
                    "hidden_act": "gelu",
                    "eos_token_id": 49407,
                },
                projection_dim=config["embed_dim"],
            )
        ).eval()
        for parameter in theirs.parameters():
            parameter.data.add_(torch.randn_like(parameter) * 0.1)
    counters = {f"{part}_model.embeddings.position_ids": torch.arange(5)[None] for part in ("text", "vision")}
    save_file({**theirs.state_dict(), **counters}, tmp_path / "model.safetensors")
    with torch.inference_mode():
        tokens = open_clip.SimpleTokenizer(context_length=77)(pairs[1])
        batch = torch.stack([shortest_side(x, 224) for x in pairs[0]])
        expected = theirs(input_ids=tokens, pixel_values=batch).logits_per_image.diagonal().numpy()
    found = load("pickscore", tmp_path / "model.safetensors")(*pairs)
    assert found == pytest.approx(expected, rel=1e-5, abs=1e-5)
    assert np.ptp(expected) > 0.1


def test_the_published_networks_are_the_ones_meant() -> None:
    assert published(VIT_H)["vision_cfg"] == {
        "image_size": 224,
        "layers": 32,
        "width": 1280,
        "head_width": 80,
        "patch_size": 14,
    }
    assert "quick_gelu" not in published(VIT_H)
    assert published(VIT_L)["quick_gelu"] is True


@pytest.mark.parametrize("name", NATIVE)
def test_a_file_of_another_network_is_one_sentence(
    name: str, checkpoint: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    config = {
        "embed_dim": 8,
        "vision_cfg": {"image_size": 28, "layers": 1, "width": 64, "patch_size": 14},
        "text_cfg": {"context_length": 77, "vocab_size": 100, "width": 16, "heads": 2, "layers": 1},
    }
    monkeypatch.setattr(open_clip, "get_model_config", lambda model: config)
    with pytest.raises(UserError, match=r"HPS_v2\.1_compressed\.pt: the weights do not fit the network"):
        load(name, checkpoint)
    torch.save({"conv.weight": torch.zeros(3)}, tmp_path / "other.pt")
    with pytest.raises(UserError, match=r"other\.pt: the weights do not fit the network, they are of another family"):
        load(name, tmp_path / "other.pt")


@pytest.mark.usefixtures("small")
def test_pairs_of_another_kind_are_one_sentence(checkpoint: Path, config: Config) -> None:
    scorer = load("hpsv2", checkpoint)
    good = np.zeros((20, 30, 3), np.uint8)
    with pytest.raises(UserError, match="hpsv2: there are 2 images and 1 prompts; give one prompt for each image"):
        scorer([good, good], ["a"])
    for bad, told in (
        (np.zeros((20, 30), np.uint8), r"uint8 \[20, 30\]"),
        (np.zeros((20, 30, 4), np.uint8), r"uint8 \[20, 30, 4\]"),
        (np.zeros((20, 30, 3), np.float32), r"float32 \[20, 30, 3\]"),
        (np.zeros((0, 30, 3), np.uint8), r"uint8 \[0, 30, 3\]"),
    ):
        with pytest.raises(UserError, match=rf"hpsv2: image number 1 is {told}, and uint8 \[height, width, 3\]"):
            scorer([good, bad], ["a", "b"])


@pytest.mark.slow
@pytest.mark.usefixtures("small")
def test_scores_that_are_not_finite_are_refused(
    network: open_clip.CLIP, config: Config, pairs: Pairs, tmp_path: Path
) -> None:
    state = {**network.state_dict(), "ln_final.weight": torch.full((32,), torch.nan)}
    torch.save(state, tmp_path / "broken.pt")
    with pytest.raises(NoScoreError, match=r"8 scores are not finite \(the first is of image number 0\)"):
        load("hpsv2", tmp_path / "broken.pt")(*pairs)
