"""Configs in the published constructor's names: what is read of them, and what is refused, each in one sentence."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import yaml

from sgbench.base.errors import UserError
from sgbench.models.config import architecture_of, canonical
from sgbench.models.families import FAMILIES, family
from sgbench.models.spec import parse, text_of
from tests.own_sizes import recorded_configs

DIT: dict[str, Any] = {"input_size": 8, "hidden_size": 32, "depth": 6, "num_heads": 4, "num_classes": 10}


def refused(config: object, name: str = "tread-sit") -> str:
    with pytest.raises(UserError) as caught:
        canonical(config, family(name), "model")
    text = str(caught.value)
    assert "\n" not in text
    assert text.startswith(("model: ", f"{config}: "))
    return text


@pytest.mark.parametrize("name", recorded_configs())
def test_every_recorded_config_is_read_the_same_from_file_text_and_mapping(name: str, tmp_path: Path) -> None:
    for number, config in enumerate(recorded_configs()[name]):
        known = FAMILIES[name]
        as_json, as_yaml = tmp_path / f"{number}.json", tmp_path / f"{number}.yaml"
        as_json.write_text(json.dumps(config))
        as_yaml.write_text(yaml.safe_dump(config))
        text = canonical(config, known, "model")
        assert canonical(json.dumps(config), known, "model") == text
        assert canonical(str(as_json), known, "model") == text
        # YAML 1.1 takes 1e-06 for a word.
        if not any(isinstance(value, float) and "e" in repr(value) for value in config.values()):
            assert canonical(str(as_yaml), known, "model") == text
        assert canonical(text, known, "model") == text
        assert architecture_of(text, known) == known.from_config(config)


def test_what_training_alone_needs_makes_no_other_model() -> None:
    plain = canonical(DIT, family("repa-sit"), "model")
    with_projectors = {**DIT, "z_dims": [768], "encoder_depth": 3, "class_dropout_prob": 0.2, "qk_norm": False}
    assert canonical(with_projectors, family("repa-sit"), "model") == plain


def test_the_content_names_the_model_and_the_path_does_not(tmp_path: Path) -> None:
    def spec_of(path: Path, **changes: Any) -> Any:
        path.write_text(json.dumps({**DIT, **changes}))
        text = text_of({"family": "tread-sit", "config": str(path), "weights": "w.safetensors"})
        assert isinstance(text, str)
        assert str(path) not in text
        path.unlink()
        # The text holds all that is needed, once the file is gone.
        return parse(text, "model")

    first, second = spec_of(tmp_path / "a.json"), spec_of(tmp_path / "b.yaml")
    assert first == second
    assert first.without_paths() == second.without_paths()
    assert spec_of(tmp_path / "a.json", depth=8).without_paths() != first.without_paths()
    assert len(first.without_paths()) < 60
    assert first.resolution == 64


def test_a_text_may_name_the_file(tmp_path: Path) -> None:
    path = tmp_path / "c.json"
    path.write_text(json.dumps(DIT))
    text = text_of(f"tread-sit config={path} weights=random")
    assert text == text_of({"family": "tread-sit", "config": DIT, "weights": "random"})


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"hiden_size": 3}, "SiT + TREAD has no argument 'hiden_size', did you mean 'hidden_size'?"),
        ({"hidden_size": None}, "hidden_size is None, which is not a whole number above 0"),
        ({"depth": 2.5}, "depth is 2.5, which is not a whole number above 0"),
        ({"num_classes": True}, "num_classes is True, which is not a whole number above 0"),
        ({"patch_size": 0}, "patch_size is 0, which is not a whole number above 0"),
        ({"num_heads": 5}, "hidden_size 32 is not a multiple of num_heads 5"),
        ({"patch_size": 3}, "input_size 8 is not a multiple of patch_size 3"),
        ({"hidden_size": 6, "num_heads": 3}, "hidden_size 6 is not a multiple of 4, which fixed positions need"),
        ({"depth": 10**9}, "depth: Input should be less than or equal to 100000"),
        ({"mlp_ratio": 2.0}, "mlp_ratio is 2.0, and only 4 is supported"),
        ({"class_dropout_prob": 0}, "class_dropout_prob is 0, and networks without a null class are not supported"),
        ({"learn_sigma": "no"}, "learn_sigma is 'no', which is neither true nor false"),
        ({"routes": [{"start_layer_idx": 1}]}, "the config makes no SiT + TREAD ('end_layer_idx' is missing"),
        ({"routes": 3}, "the config makes no SiT + TREAD ("),
        ({"routes": [{"start_layer_idx": 1, "end_layer_idx": 9, "selection_ratio": 0.5}]}, "leaves blocks 0..5"),
    ],
    ids=str,
)
def test_arguments_that_make_no_network(change: dict[str, Any], said: str) -> None:
    assert said in refused({**DIT, **change})


def test_a_missing_argument_is_named() -> None:
    for key in ("input_size", "hidden_size", "depth", "num_heads"):
        lacking = {name: value for name, value in DIT.items() if name != key}
        assert f"'{key}' is missing" in refused(lacking)


@pytest.mark.parametrize("name", [name for name, known in FAMILIES.items() if known.fixed and not known.pipeline])
def test_arguments_with_one_value_take_no_other(name: str) -> None:
    known, config = FAMILIES[name], recorded_configs()[name][0]
    for key, value in known.fixed.items():
        canonical({**config, key: value}, known, "model")
        assert f"{key} is 'other', and of {known.title} only {value!r} is supported" in refused(
            {**config, key: "other"}, name
        )


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"", "the config is not a mapping"),
        (b"[1, 2]", "the config is not a mapping"),
        (b"{", "the config is neither JSON nor YAML"),
        (b"a: [" * 50, "the config is neither JSON nor YAML"),
        (b'{"depth": 3, "depth": 4}', "is given twice"),
        (b"\xff\xfe", "the config is neither JSON nor YAML"),
        (b"x" * 10_000, "the file has more than 8,000 bytes"),
        (b"!!python/object:os.system {}", "the config is neither JSON nor YAML"),
    ],
    ids=lambda value: str(value)[:20],
)
def test_files_that_hold_no_config(content: bytes, said: str, tmp_path: Path) -> None:
    for name in ("c.json", "c.yaml"):
        (tmp_path / name).write_bytes(content)
        found = refused(str(tmp_path / name))
        assert said in found or (name == "c.json" and "the config is neither JSON nor YAML" in found)
        assert name in found


def test_files_that_are_not_there(tmp_path: Path) -> None:
    found = refused(str(tmp_path / "none.json"))
    assert f"model: {tmp_path}/none.json: there is no such config file; correct the path." in found
    assert "this is not a regular file" in refused("/dev/null")
    assert refused(str(tmp_path))
    with pytest.raises(ValueError, match=r"none.json: there is no such config file \(correct the path\)"):
        text_of({"family": "sit", "config": str(tmp_path / "none.json"), "weights": "random"})
