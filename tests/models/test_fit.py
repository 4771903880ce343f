"""Weights of another size are told by a tensor, its two shapes and the key that mends it, from shapes alone."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import save_file

from sgbench.files.headers import shapes
from sgbench.models import catalogue
from sgbench.models.architecture import Architecture
from sgbench.models.families import FAMILIES
from sgbench.models.fit import misfit
from sgbench.models.spec import from_fields
from sgbench.networks.denoiser import build
from tests.own_sizes import SHAPED, sizes

# One size at a time is another, in a file that is of the sizes of `tests/own_sizes.py`.
OTHERS = {"depth": 8, "width": 60, "patch": 4, "classes": 11, "channels": 3, "latent_side": 20}


def record(**fields: Any) -> Architecture:
    return catalogue.entry(from_fields({**fields, "weights": "random"}, "model").text()).architecture


def state(found: Architecture) -> dict[str, tuple[int, ...]]:
    with torch.device("meta"):
        return {name: tuple(tensor.shape) for name, tensor in build(found).state_dict().items()}


@pytest.mark.parametrize("family", FAMILIES)
def test_weights_of_the_same_sizes_fit(family: str) -> None:
    found = record(**sizes(family))
    assert misfit(FAMILIES[family], found, state(found)) is None


@pytest.mark.parametrize("family", [name for name in FAMILIES if not FAMILIES[name].pipeline])
def test_another_size_is_told_with_the_key_that_mends_it(family: str) -> None:
    asked = sizes(family)
    file = state(record(**asked))
    told = []
    for key in [key for key in OTHERS if key in asked]:
        other = record(**{**asked, key: OTHERS[key]})
        if state(other) == file:
            # Rotary positions have no tensor.
            continue
        found = misfit(FAMILIES[family], other, file)
        assert found is not None
        # A linear map of whole patches tells not channels from patch.
        known = {key, "channels"} if len(file["x_embedder.proj.weight"]) == 2 and key == "patch" else {key}
        assert found.key in known
        assert f": {found.key} is {found.value}, not" in found.what
        if found.key == key:
            assert found.value == asked[key]
        told.append(key)
    assert {"channels"} <= set(told)
    if family in SHAPED:
        assert {"depth", "width", "patch"} <= set(told)


def test_the_sentence_names_tensor_and_both_shapes() -> None:
    file = state(record(family="tread-sit", size="S/2", classes=100))
    found = misfit(FAMILIES["tread-sit"], record(family="tread-sit", size="S/2"), file)
    assert found is not None
    assert found.what == ("y_embedder.embedding_table.weight is [101, 384], not [1001, 384]: classes is 100, not 1000")


def test_a_variance_that_the_network_does_not_predict_is_told() -> None:
    small = {"size": "S/4", "resolution": 64}
    file = state(record(family="dit", **small))
    found = misfit(FAMILIES["tread-sit"], record(family="tread-sit", **small), file)
    assert found is not None
    assert found.what == "final_layer.linear.weight is [128, 384], not [64, 384]: learn_sigma is true, not false"
    # SiT's own last layer has a half that is not used.
    assert misfit(FAMILIES["sit"], record(family="sit", **small), file) is None


def test_another_network_is_told_by_its_parts() -> None:
    small = {"size": "S/4", "resolution": 64}
    found = misfit(FAMILIES["sit"], record(family="sit", **small), state(record(family="sprint", **small)))
    assert found is not None
    assert (found.key, found.value) == ("family", "sprint")
    assert found.what.endswith("is of sprint, not of sit")


def test_names_that_mean_nothing_are_left_to_loading() -> None:
    assert misfit(FAMILIES["sit"], record(family="sit", size="S/4"), {"other": (3, 4)}) is None
    assert misfit(FAMILIES["sit"], record(family="sit", size="S/4"), {}) is None


@pytest.mark.parametrize("wrapped", ["bare", "ema", "prefix", "training state"])
def test_shapes_are_read_alike_from_every_kind_of_file(wrapped: str, tmp_path: Path) -> None:
    found = build(record(**sizes("tread-sit"))).state_dict()
    expected = {name: tuple(tensor.shape) for name, tensor in found.items()}
    prefixed = {f"module.model.{name}": tensor for name, tensor in found.items()}
    content: dict[str, Any] = {
        "bare": found,
        "ema": {"ema": found, "model": {"other": torch.zeros(3)}},
        "prefix": prefixed,
        "training state": {
            "state_dict": {name: torch.nn.Parameter(tensor) for name, tensor in prefixed.items()},
            "optimizer": torch.optim.AdamW(torch.nn.Linear(2, 2).parameters()).state_dict(),
            "step": 4,
            "path": Path("a"),
        },
    }[wrapped]
    torch.save(content, tmp_path / "w.pt")
    assert shapes(tmp_path / "w.pt") == expected
    if wrapped in ("bare", "prefix"):
        save_file({name: tensor.contiguous() for name, tensor in content.items()}, tmp_path / "w.safetensors")
        assert shapes(tmp_path / "w.safetensors") == expected


class Harmful:
    """Pickles as a call that leaves a trace."""

    def __init__(self, trace: Path) -> None:
        self.trace = trace

    def __reduce__(self) -> Any:
        return Path.write_text, (self.trace, "run")


def test_reading_shapes_runs_no_code_of_the_file(tmp_path: Path) -> None:
    torch.save({"x.weight": torch.zeros(2, 3), "harm": Harmful(tmp_path / "trace")}, tmp_path / "w.pt")
    assert shapes(tmp_path / "w.pt") == {"x.weight": (2, 3)}
    assert not (tmp_path / "trace").exists()


@pytest.mark.parametrize("content", [b"", b"PK\x03\x04", b"\x80\x02.", b"<html>"])
def test_files_without_shapes_have_none(content: bytes, tmp_path: Path) -> None:
    (tmp_path / "w.pt").write_bytes(content)
    assert shapes(tmp_path / "w.pt") == {}
    assert shapes(tmp_path / "absent.pt") == {}
