"""The networks against the published implementations; see tests/golden/README.md for the origin of the values."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch
from safetensors import safe_open
from torch import Tensor

from sgbench.guidance import combine
from sgbench.models.architecture import DiTArchitecture, MaskDiTArchitecture
from sgbench.models.dit import DiT
from sgbench.models.maskdit import MaskDiT
from sgbench.sampling.euler import sample_euler

GOLDEN = Path(__file__).parents[1] / "golden"
SHARED = ("input_size", "patch_size", "in_channels", "hidden_size", "depth", "num_heads", "num_classes")
DECODER = ("decoder_hidden_size", "decoder_depth", "decoder_num_heads")


def read(name: str) -> tuple[dict, dict[str, Tensor]]:
    with safe_open(GOLDEN / f"{name}.safetensors", "pt") as stored:
        return json.loads(stored.metadata()["config"]), {key: stored.get_tensor(key) for key in stored.keys()}  # noqa: SIM118


def network(config: dict, tensors: dict[str, Tensor]) -> DiT | MaskDiT:
    sizes = {key: config[key] for key in SHARED}
    model: DiT | MaskDiT
    if "decoder_depth" in config:
        model = MaskDiT(MaskDiTArchitecture(**sizes, **{key: config[key] for key in DECODER}))
    else:
        routes = tuple((r["start_layer_idx"], r["end_layer_idx"]) for r in config.get("routes", []))
        channels = config["in_channels"] * (2 if config.get("learn_sigma") else 1)
        model = DiT(DiTArchitecture(**sizes, out_channels=channels, routes=routes))
    model.load_state_dict({key[6:]: t for key, t in tensors.items() if key.startswith("state/")})
    return model.eval()


def relative_error(found: Tensor, expected: Tensor) -> float:
    return float((found - expected).abs().max() / expected.abs().max())


@pytest.mark.parametrize("name", ["dit", "sit", "tread_dit", "maskdit"])
@torch.no_grad()
def test_every_recorded_forward_pass_matches(name: str) -> None:
    config, tensors = read(name)
    model = network(config, tensors)
    labels = tensors["in/y"] if "in/y" in tensors else tensors["in/y_onehot"].argmax(1)
    cases = [key for key in tensors if key.startswith("out/")]
    assert len(cases) >= 2
    for case in cases:
        condition = torch.full_like(labels, config["num_classes"]) if case == "out/uncond" else labels
        tokens = tensors.get(f"in/ids_keep_{case.rpartition('_')[2]}")
        found = model(tensors["in/x"], tensors["in/t"], condition, tokens)
        assert relative_error(found[:, : tensors[case].shape[1]], tensors[case]) < 1e-4, case


@torch.no_grad()
def test_tread_trajectories_match() -> None:
    """Euler, CFG and SG as the published sampler ran them, SG with both branches conditional."""
    config, tensors = read("traj_tread_euler")
    model = network(config["model"], tensors)
    labels = tensors["in/y"]
    null = torch.full_like(labels, config["model"]["num_classes"])

    def call(x: Tensor, t: float, condition: Tensor, tokens: Tensor | None = None) -> Tensor:
        return model(x, torch.full((len(x),), t), condition, tokens)

    def unguided(x: Tensor, t: float, step: int) -> Tensor:
        return call(x, t, labels)

    def cfg(x: Tensor, t: float, step: int) -> Tensor:
        return combine(call(x, t, labels), call(x, t, null), 1.5)

    def sparse(x: Tensor, t: float, step: int) -> Tensor:
        strong = call(x, t, labels, tensors["in/ids_strong"][step])
        return combine(strong, call(x, t, labels, tensors["in/ids_weak"][step]), 1.6)

    expected = {key[4:]: t for key, t in tensors.items() if key.startswith("out/")}
    rules = {"none": unguided, "cfg": cfg, "sg": sparse}
    for key, final in expected.items():
        rule = next(r for r in ("cfg", "sg", "none") if key.startswith(r))
        found = sample_euler(rules[rule], tensors["in/noise"], config["steps"])
        assert relative_error(found, final) < 1e-3, key
    assert len(expected) == 3
