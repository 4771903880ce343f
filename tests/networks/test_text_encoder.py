"""The text tower of a real, tiny CLIP model: every state, not the pooled one, from any layout its weights come in."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import open_clip
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from safetensors.torch import save_file

from sgbench.base.errors import UserError
from sgbench.networks.text_encoder import BATCH, DFN5B, TowerSizes, load_text_encoder

CPU = torch.device("cpu")
TEXT: dict[str, Any] = {"context_length": 12, "vocab_size": 49408, "width": 16, "heads": 2, "layers": 2}
TINY = TowerSizes(**TEXT, quick_gelu=True)
VISION = {"image_size": 8, "layers": 1, "width": 8, "head_width": 4, "patch_size": 4}
CAPTIONS = ["a red boot", "two cats and a dog", ""]


@pytest.fixture(scope="module")
def clip() -> open_clip.CLIP:
    torch.manual_seed(0)
    return open_clip.CLIP(8, VISION, TEXT, quick_gelu=True).eval().requires_grad_(False)


@pytest.fixture(scope="module")
def folder(clip: open_clip.CLIP, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("clip")
    save_file(clip.state_dict(), path / "open_clip_model.safetensors")
    model = {"embed_dim": 8, "quick_gelu": True, "vision_cfg": VISION, "text_cfg": TEXT}
    (path / "open_clip_config.json").write_text(json.dumps({"model_cfg": model, "preprocess_cfg": {}}))
    return path


def test_the_pooled_and_projected_states_are_clips_own_embedding(clip: open_clip.CLIP, folder: Path) -> None:
    encoder = load_text_encoder(folder, CPU, TINY)
    states = encoder.encode(CAPTIONS)
    words = encoder.tokenizer(CAPTIONS)
    ends = words.argmax(dim=-1)
    pooled = states[torch.arange(len(CAPTIONS)), ends] @ clip.text_projection
    assert states.shape == (len(CAPTIONS), 12, 16)
    assert states.dtype == torch.float32
    assert torch.allclose(pooled, clip.encode_text(words), atol=1e-6)


def test_states_have_passed_the_last_norm(clip: open_clip.CLIP, folder: Path) -> None:
    # Its initial gain is one and its offset zero.
    states = load_text_encoder(folder, CPU, TINY).encode(CAPTIONS)
    assert torch.allclose(states.mean(dim=-1), torch.zeros(len(CAPTIONS), 12), atol=1e-5)
    assert torch.allclose(states.var(dim=-1, unbiased=False), torch.ones(len(CAPTIONS), 12), atol=1e-2)


@pytest.mark.slow
@settings(max_examples=15, deadline=None)
@given(captions=st.lists(st.text(alphabet="abc xyz", max_size=6), min_size=1, max_size=4))
def test_a_caption_does_not_know_the_others_of_its_batch(captions: list[str], folder: Path) -> None:
    encoder = load_text_encoder(folder, CPU, TINY)
    apart = torch.cat([encoder.encode([caption]) for caption in captions])
    assert torch.allclose(encoder.encode(captions), apart, atol=1e-5)


def test_more_captions_than_a_batch_keep_their_order(folder: Path) -> None:
    encoder = load_text_encoder(folder, CPU, TINY)
    captions = [f"number {index}" for index in range(BATCH + 3)]
    found = encoder.encode(captions)
    assert len(found) == BATCH + 3
    assert torch.allclose(found[-1], encoder.encode(captions[-1:])[0], atol=1e-5)


def test_no_caption_is_zeros_and_an_empty_one_is_not(folder: Path) -> None:
    encoder = load_text_encoder(folder, CPU, TINY)
    assert encoder.null().shape == (1, 12, 16)
    assert not encoder.null().any()
    assert encoder.encode([""]).any()
    assert encoder.encode([]).shape == (0, 12, 16)


def test_a_caption_is_never_cut_off(folder: Path) -> None:
    encoder = load_text_encoder(folder, CPU, TINY)
    fits = " ".join(["cat"] * 10)
    assert encoder.encode([fits]).shape == (1, 12, 16)
    with pytest.raises(UserError, match=r"cat cat'.*has 11 tokens and the text encoder reads 10; shorten it"):
        encoder.encode(["a dog", fits + " cat"])


@pytest.mark.slow
def test_a_file_alone_and_a_tower_of_its_own_are_read_alike(clip: open_clip.CLIP, folder: Path, tmp_path: Path) -> None:
    expected = load_text_encoder(folder, CPU, TINY).encode(CAPTIONS)
    plain = load_text_encoder(folder / "open_clip_model.safetensors", CPU, TINY)
    assert torch.equal(plain.encode(CAPTIONS), expected)
    # open_clip keeps the tower of models with another text network under `text.`, in a file that torch wrote.
    apart = {
        name if name.startswith(("visual.", "logit_scale")) else f"text.{name}": tensor
        for name, tensor in clip.state_dict().items()
    }
    torch.save({"state_dict": apart}, tmp_path / "clip.pt")
    assert torch.equal(load_text_encoder(tmp_path / "clip.pt", CPU, TINY).encode(CAPTIONS), expected)


def test_the_default_is_the_network_that_open_clip_describes() -> None:
    described = open_clip.get_model_config("ViT-H-14-378-quickgelu")
    assert {**described["text_cfg"], "quick_gelu": described["quick_gelu"]} == DFN5B._asdict()


def test_another_network_is_one_sentence(folder: Path) -> None:
    with pytest.raises(UserError, match=r"another text encoder \(context_length is 12, not 77, width is 16, not 1024"):
        load_text_encoder(folder, CPU)
    # Another activation has the same weights' shapes.
    with pytest.raises(UserError, match=r"another text encoder \(quick_gelu is True, not False\)"):
        load_text_encoder(folder, CPU, TINY._replace(quick_gelu=False))
    with pytest.raises(UserError, match="do not fit the network"):
        load_text_encoder(folder / "open_clip_model.safetensors", CPU, TINY._replace(layers=3))


def test_missing_files_are_one_sentence(folder: Path, tmp_path: Path) -> None:
    with pytest.raises(UserError, match="cannot be read"):
        load_text_encoder(tmp_path / "nothing.safetensors", CPU, TINY)
    with pytest.raises(UserError, match="holds no weights of a text encoder"):
        load_text_encoder(tmp_path, CPU, TINY)
    (tmp_path / "open_clip_model.safetensors").write_bytes((folder / "open_clip_model.safetensors").read_bytes())
    with pytest.raises(UserError, match="cannot be read"):
        load_text_encoder(tmp_path, CPU, TINY)


@pytest.mark.parametrize("content", ["", "[]", "{}", '{"model_cfg": 3}', '{"model_cfg": {"text_cfg": 3}}'])
def test_a_configuration_that_is_none_is_one_sentence(content: str, folder: Path, tmp_path: Path) -> None:
    (tmp_path / "open_clip_model.safetensors").write_bytes((folder / "open_clip_model.safetensors").read_bytes())
    (tmp_path / "open_clip_config.json").write_text(content)
    with pytest.raises(UserError, match="not an open_clip configuration with a text tower"):
        load_text_encoder(tmp_path, CPU, TINY)


def test_settings_that_are_unknown_are_refused(folder: Path, tmp_path: Path) -> None:
    (tmp_path / "open_clip_model.safetensors").write_bytes((folder / "open_clip_model.safetensors").read_bytes())
    content = json.loads((folder / "open_clip_config.json").read_text())
    content["model_cfg"]["text_cfg"]["no_causal_mask"] = True
    (tmp_path / "open_clip_config.json").write_text(json.dumps(content))
    with pytest.raises(UserError, match=r"another text encoder \(no_causal_mask\)"):
        load_text_encoder(tmp_path, CPU, TINY)
