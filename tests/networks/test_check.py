"""Recorded runs are replayed: every golden file, files of other sizes made here, and damaged ones."""

from __future__ import annotations

import json
import math
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import pytest
import torch
from safetensors import safe_open
from safetensors.torch import save_file
from torch import Tensor

from sgbench.base.errors import UserError
from sgbench.models.architecture import Architecture
from sgbench.models.families.dit import DiTArchitecture
from sgbench.models.families.maskdit import MaskDiTArchitecture
from sgbench.models.families.mdtv2 import MDTv2Architecture
from sgbench.models.families.microdit import MicroDiTArchitecture
from sgbench.models.families.sprint import SprintArchitecture
from sgbench.networks.check import check_file
from sgbench.networks.denoiser import Denoiser, build
from tests import tiny_model, warm

GOLDEN = sorted((Path(__file__).parents[1] / "golden").glob("*.safetensors"))
FAMILY = {
    "dit": "dit",
    "ig_sit": "ig-sit",
    "maskdit": "maskdit",
    "mdtv2": "mdtv2",
    "microdit": "microdit",
    "sit": "sit",
    "sprint_sit": "sprint",
    "traj_dit_ddim": "dit",
    "traj_dit_ddpm": "dit",
    "traj_ig_sde": "ig-sit",
    "traj_maskdit_churn": "maskdit",
    "traj_maskdit_edm": "maskdit",
    "traj_mdt_ddpm": "mdtv2",
    "traj_repa_heun": "repa-sit",
    "traj_repa_sde": "repa-sit",
    "traj_sit_sde": "sit",
    "traj_sprint_euler": "sprint",
    "traj_tread_euler": "tread-sit",
    "tread_dit": "tread-sit",
}
BATCH = 3
Tensors = dict[str, Tensor]
Command = Callable[..., tuple[int, str, str]]


def golden(name: str) -> tuple[dict[str, Any], Tensors]:
    path = next(path for path in GOLDEN if path.stem == name)
    with safe_open(path, "pt") as stored:
        tensors = {key: stored.get_tensor(key) for key in stored.keys()}  # noqa: SIM118
        return json.loads(stored.metadata()["config"]), tensors


def write(path: Path, config: Any, tensors: Tensors) -> Path:
    save_file({name: tensor.contiguous().clone() for name, tensor in tensors.items()}, path, {"config": config})
    return path


def recorded(path: Path, config: dict[str, Any], tensors: Tensors) -> Path:
    return write(path, json.dumps(config), tensors)


def sentence(path: Path) -> str:
    """What check_file says of a file that it cannot replay."""
    with pytest.raises(UserError) as caught:
        check_file(path)
    text = str(caught.value)
    assert "\n" not in text
    assert text.startswith(str(path))
    return text


# The recorded files


@pytest.mark.slow
@pytest.mark.parametrize("path", GOLDEN, ids=lambda path: path.stem)
def test_every_case_of_every_golden_file_matches(path: Path) -> None:
    _, tensors = golden(path.stem)
    family, cases = check_file(path)
    assert family.name == FAMILY[path.stem]
    assert {f"out/{case.name}" for case in cases} == {name for name in tensors if name.startswith("out/")}
    assert len(cases) >= 2
    tolerance = 1e-3 if path.stem.startswith("traj_") else 1e-4
    if path.stem == "traj_mdt_ddpm":  # where guidance moves the result by a ten-thousandth
        tolerance = 5e-6
    for case in cases:
        assert case.tolerance == tolerance
        assert case.error < tolerance, case
        assert case.passed


@pytest.mark.slow
@pytest.mark.parametrize("name", FAMILY)
def test_one_wrong_value_fails_its_case_and_no_other(name: str, tmp_path: Path) -> None:
    config, tensors = golden(name)
    trajectory = name.startswith("traj_")
    case = sorted(key for key in tensors if key.startswith("out/"))[-1]
    largest = float(tensors[case].abs().max())
    smallest = int(tensors[case].abs().argmin())

    def verdicts(by: float) -> dict[str, bool]:
        changed = tensors[case].clone()
        changed.view(-1)[smallest] += by * largest
        _, cases = check_file(recorded(tmp_path / "changed.safetensors", config, {**tensors, case: changed}))
        return {f"out/{found.name}": found.passed for found in cases}

    failed = verdicts(2e-3 if trajectory else 1e-3)
    assert [key for key, passed in failed.items() if not passed] == [case]
    assert all(verdicts(1e-6).values())


@pytest.mark.slow
def test_the_command_passes_all_files(sgbench: Command) -> None:
    status, out, err = sgbench("models", "check", *GOLDEN, "--json")
    assert (status, err) == (0, "")
    document = json.loads(out.splitlines()[-1])
    assert document["passed"] is True
    assert {Path(case["file"]).stem for case in document["cases"]} == set(FAMILY)
    assert all(case["error"] <= case["tolerance"] for case in document["cases"])
    status, out, _ = sgbench("models", "check", *GOLDEN)
    assert status == 0
    lines = out.splitlines()
    assert lines[-1] == f"{len(GOLDEN)} files, {len(document['cases'])} cases, 0 failed"
    assert len(lines) == len(document["cases"]) + 1
    assert all(line.endswith("ok") for line in lines[:-1])


def test_the_command_fails_where_a_file_differs(sgbench: Command, tmp_path: Path) -> None:
    config, tensors = golden("sit")
    changed = tensors["out/dense"].clone()
    changed.view(-1)[0] += 1e-3 * float(changed.abs().max())
    path = recorded(tmp_path / "sit.safetensors", config, {**tensors, "out/dense": changed})
    status, out, _ = sgbench("models", "check", GOLDEN[0], path)
    assert status == 1
    failed = [line for line in out.splitlines() if line.endswith("FAILED")]
    assert len(failed) == 1
    assert "dense" in failed[0]
    assert out.splitlines()[-1].endswith("1 failed")
    status, out, _ = sgbench("models", "check", path, "--json")
    assert status == 1
    document = json.loads(out.splitlines()[-1])
    assert document["passed"] is False
    assert {case["name"]: case["passed"] for case in document["cases"]} == {"dense": False, "uncond": True}


@pytest.mark.slow
def test_a_truncated_file_is_one_line_without_a_traceback(tmp_path: Path) -> None:
    path = tmp_path / "cut.safetensors"
    path.write_bytes(GOLDEN[0].read_bytes()[:-50])
    done = warm.run(tiny_model.__file__, "models", "check", path)
    assert done.returncode == 1
    assert done.stdout == ""
    assert done.stderr.startswith(f"sgbench: {path}: this is not a readable golden file")
    assert done.stderr.count("\n") == 1


# Files at other sizes


class Odd(NamedTuple):
    """A constructor's arguments as they are published, and the record they must come to."""

    family: str
    config: dict[str, Any]
    architecture: Architecture
    sparse: str = ""
    recorded_channels: int | None = None
    extra_state: tuple[tuple[str, tuple[int, ...]], ...] = ()


def sizes(side: int, patch: int, channels: int, width: int, depth: int, heads: int, classes: int) -> dict[str, int]:
    return {
        "input_size": side,
        "patch_size": patch,
        "in_channels": channels,
        "hidden_size": width,
        "depth": depth,
        "num_heads": heads,
        "num_classes": classes,
    }


def route(ratio: float, first: int, last: int) -> dict[str, float]:
    return {"selection_ratio": ratio, "start_layer_idx": first, "end_layer_idx": last}


def without(mapping: dict[str, int], *keys: str) -> dict[str, int]:
    return {key: value for key, value in mapping.items() if key not in keys}


DIT, COARSE = sizes(12, 2, 3, 24, 3, 3, 7), sizes(12, 4, 2, 20, 2, 5, 2)
SIT, TREAD = sizes(6, 1, 4, 40, 2, 5, 11), sizes(10, 2, 2, 24, 8, 2, 13)
MASKED, MDT = sizes(12, 2, 4, 36, 3, 3, 6), sizes(6, 2, 3, 24, 7, 3, 9)
SPRINTED = sizes(10, 2, 3, 48, 6, 3, 5)
SPRINT_DEPTHS = {"encoder_depth": 2, "middle_depth": 3, "decoder_depth": 1}
DECODER = {"decoder_hidden_size": 16, "decoder_depth": 3, "decoder_num_heads": 2}
MICRO = {
    "input_size": 12,
    "patch_size": 2,
    "in_channels": 3,
    "depth": 4,
    "head_dim": 4,
    "multiple_of": 8,
    "caption_channels": 10,
    "pos_interp_scale": 2.0,
    "patch_mixer_qkv_ratio": 0.5,
    "patch_mixer_mlp_ratio": 2.0,
    "num_experts": 2,
    "expert_capacity": 1.5,
    "experts_every_n": 2,
}
ODD = {
    "dit": Odd("dit", {**DIT, "learn_sigma": True}, DiTArchitecture(**DIT, out_channels=6)),
    "dit, coarse": Odd("dit", {**COARSE, "learn_sigma": True}, DiTArchitecture(**COARSE, out_channels=4)),
    "sit, learned sigma by default": Odd("sit", SIT, DiTArchitecture(**SIT, out_channels=8), recorded_channels=4),
    "sit, no learned sigma": Odd("sit", {**SIT, "learn_sigma": False}, DiTArchitecture(**SIT, out_channels=4)),
    "tread, two routes": Odd(
        "tread-sit",
        {**TREAD, "enable_routing": True, "routes": [route(0.5, 1, 2), route(0.25, 4, 6)]},
        DiTArchitecture(**TREAD, out_channels=2, routes=((1, 2), (4, 6))),
        "routed",
    ),
    "tread, a route of one block": Odd(
        "tread-sit",
        {**TREAD, "enable_routing": True, "routes": [route(0.25, 3, 3)]},
        DiTArchitecture(**TREAD, out_channels=2, routes=((3, 3),)),
        "routed",
    ),
    "tread, no route": Odd(
        "tread-sit", {**TREAD, "enable_routing": False, "routes": []}, DiTArchitecture(**TREAD, out_channels=2)
    ),
    "sprint": Odd(
        "sprint",
        {"context_size": 10, **without(SPRINTED, "input_size", "depth"), **SPRINT_DEPTHS},
        SprintArchitecture(**SPRINTED, **SPRINT_DEPTHS),
        "dropped",
    ),
    "sprint, trained with REPA": Odd(
        "sprint",
        {
            "context_size": 10,
            **without(SPRINTED, "input_size", "depth"),
            **SPRINT_DEPTHS,
            "representation_align": True,
        },
        SprintArchitecture(**SPRINTED, **SPRINT_DEPTHS),
        "dropped",
        extra_state=(("projectors.0.0.weight", (8, 48)), ("projectors.0.0.bias", (8,))),
    ),
    "maskdit": Odd(
        "maskdit",
        {**MASKED, **DECODER, "use_decoder": True, "mae_loss_coef": 0.1},
        MaskDiTArchitecture(**MASKED, **DECODER),
        "masked",
    ),
    "maskdit, named as its preconditioner names": Odd(
        "maskdit",
        {"img_resolution": 12, "img_channels": 4, **without(MASKED, "input_size", "in_channels"), **DECODER},
        MaskDiTArchitecture(**MASKED, **DECODER),
        "masked",
    ),
    "mdtv2, no learned sigma": Odd(
        "mdtv2",
        {**MDT, "learn_sigma": False, "mask_ratio": 0.3, "decode_layer": 3},
        MDTv2Architecture(**MDT, out_channels=3, decoder_depth=3),
        "masked",
    ),
    "mdtv2": Odd(
        "mdtv2",
        {**MDT, "depth": 6, "learn_sigma": True, "mask_ratio": None, "decode_layer": 4},
        MDTv2Architecture(**{**MDT, "depth": 6}, out_channels=6, decoder_depth=4),
        "masked",
    ),
    "microdit, four ratios and a mixer of another width": Odd(
        "microdit",
        {
            **MICRO,
            "dim": 24,
            "qkv_multipliers": [0.5, 1.0],
            "ffn_multipliers": [1.0, 2.0, 3.0, 4.0],
            "use_patch_mixer": True,
            "patch_mixer_depth": 3,
            "patch_mixer_dim": 16,
            "use_bias": True,
        },
        MicroDiTArchitecture(
            **MICRO,
            hidden_size=24,
            qkv_ratios=(0.5, 0.5, 1.0, 1.0),
            ffn_ratios=(1.0, 2.0, 3.0, 4.0),
            patch_mixer_depth=3,
            patch_mixer_dim=16,
            use_bias=True,
        ),
        "masked",
    ),
    "microdit, mixer of the same width": Odd(
        "microdit",
        {
            **MICRO,
            "dim": 24,
            "qkv_multipliers": [1.0],
            "ffn_multipliers": [2.0],
            "use_patch_mixer": True,
            "patch_mixer_depth": 1,
            "patch_mixer_dim": 24,
            "use_bias": False,
        },
        MicroDiTArchitecture(
            **MICRO,
            hidden_size=24,
            qkv_ratios=(1.0,) * 4,
            ffn_ratios=(2.0,) * 4,
            patch_mixer_depth=1,
            patch_mixer_dim=24,
            use_bias=False,
        ),
        "masked",
    ),
}


def generator(seed: int) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def network(architecture: Architecture) -> Denoiser:
    """A network in which every parameter matters: freshly made ones put out nothing but zeros."""
    made = build(architecture).eval().requires_grad_(False)
    for number, parameter in enumerate(made.parameters()):
        parameter.normal_(std=0.2, generator=generator(number))
    return made


def shuffled(tokens: int, kept: int, seed: int) -> Tensor:
    return torch.stack([torch.randperm(tokens, generator=generator(seed + b))[:kept] for b in range(BATCH)])


def state_of(made: Denoiser, odd: Odd) -> Tensors:
    extra = {name: torch.randn(shape, generator=generator(1)) for name, shape in odd.extra_state}
    return {f"state/{name}": tensor for name, tensor in {**made.state_dict(), **extra}.items()}


def record_forward(odd: Odd) -> Tensors:
    """Inputs and outputs of one call each, as tests/golden/README.md describes them."""
    made, a = network(odd.architecture), odd.architecture
    x = torch.randn(BATCH, *a.sample_shape, generator=generator(2))
    t = torch.tensor([3.0, 500.0, 998.0] if odd.family in ("dit", "mdtv2") else [0.1, 0.5, 0.9])
    tensors = {**state_of(made, odd), "in/x": x, "in/t": t}
    if isinstance(a, MicroDiTArchitecture):
        given = torch.randn(BATCH, 5, a.caption_channels, generator=generator(3))
        null = torch.zeros_like(given)
        tensors["in/caption"] = given.unsqueeze(1)
    else:
        given = torch.tensor([0, 1, a.num_classes - 1])
        null = torch.full_like(given, a.num_classes)
        if odd.family == "maskdit":
            tensors["in/y_onehot"] = torch.eye(a.num_classes)[given]
        else:
            tensors["in/y"] = given
    outputs = {"dense": made(x, t, given), "uncond": made(x, t, null)}
    for gamma in (0.5, 0.75) if odd.sparse else ():
        kept = shuffled(a.grid_tokens, a.grid_tokens - int(a.grid_tokens * gamma), 10)
        tensors[f"in/ids_keep_{gamma}"] = kept
        outputs[f"{odd.sparse}_{gamma}"] = made(x, t, given, kept)
    if odd.family == "sprint":
        nothing = torch.zeros(BATCH, 0, dtype=torch.long)
        outputs["pdg"] = torch.cat([made(x, t, given), made(x, t, null, nothing)])
    assert len({tuple(out.flatten()[:8].tolist()) for out in outputs.values()}) >= len(outputs) - 1
    return {**tensors, **{f"out/{name}": out[:, : odd.recorded_channels] for name, out in outputs.items()}}


@pytest.mark.parametrize("name", ODD)
def test_a_file_of_another_size_is_built_from_its_config(name: str, tmp_path: Path) -> None:
    """Under a name that would mislead whoever went by it."""
    odd = ODD[name]
    tensors = record_forward(odd)
    family, cases = check_file(recorded(tmp_path / "traj_other_family.safetensors", odd.config, tensors))
    assert family.name == odd.family
    assert len(cases) == 2 + 2 * bool(odd.sparse) + (odd.family == "sprint")
    assert all(case.passed for case in cases), cases


def euler(velocity: Callable[[Tensor, float, int], Tensor], x: Tensor, steps: int) -> Tensor:
    for step in range(steps):
        x = x - velocity(x, (steps - step) / steps, step) / steps
    return x


def timed(made: Denoiser, x: Tensor, t: float, labels: Tensor, tokens: Tensor | None = None) -> Tensor:
    return made(x.float(), torch.full((len(x),), t), labels, tokens)[:, : x.shape[1]]


@torch.no_grad()
def test_an_euler_run_of_sit_on_its_own_clock(tmp_path: Path) -> None:
    """SiT's t is 1 at the image, and so its velocity points there; a scale without decimals is a number too."""
    odd = ODD["sit, learned sigma by default"]
    made = network(odd.architecture)
    noise, labels = torch.randn(BATCH, 4, 6, 6, generator=generator(4)), torch.tensor([0, 4, 10])
    null = torch.full_like(labels, 11)

    def one(x: Tensor, t: float, condition: Tensor) -> Tensor:
        return -timed(made, x, 1 - t, condition)

    def guided(x: Tensor, t: float, step: int) -> Tensor:
        weak = one(x, t, null)
        return weak + 2 * (one(x, t, labels) - weak)

    def interval(x: Tensor, t: float, step: int) -> Tensor:
        return guided(x, t, step) if 0.4 <= t <= 0.8 else one(x, t, labels)

    tensors = {
        **state_of(made, odd),
        "in/noise": noise,
        "in/y": labels,
        "out/none": euler(lambda x, t, _: one(x, t, labels), noise, 4),
        "out/cfg_2": euler(guided, noise, 4),
        "out/cfg_2_interval_0.4_0.8": euler(interval, noise, 4),
    }
    config = {"model": odd.config, "sampler": "euler, t from 1 (noise) to 0 (data), uniform steps", "steps": 4}
    family, cases = check_file(recorded(tmp_path / "x.safetensors", config, tensors))
    assert family.name == "sit"
    assert [case.passed for case in cases] == [True] * 3, cases


@pytest.mark.slow
@torch.no_grad()
def test_an_euler_run_with_sparse_branches_and_one_with_the_path_dropped(tmp_path: Path) -> None:
    steps, sampler = 3, "euler, t from 1 (noise) to 0 (data), uniform steps, state in float64"
    odd = ODD["tread, two routes"]
    made = network(odd.architecture)
    noise, labels = torch.randn(BATCH, 2, 10, 10, generator=generator(5)), torch.tensor([0, 6, 12])
    strong = torch.stack([shuffled(25, 20, 7 * step) for step in range(steps)])
    weak = torch.stack([shuffled(25, 5, 50 + 7 * step) for step in range(steps)])

    def sparse(x: Tensor, t: float, step: int) -> Tensor:
        low = timed(made, x, t, labels, weak[step])
        return low + 1.6 * (timed(made, x, t, labels, strong[step]) - low)

    tensors = {
        **state_of(made, odd),
        "in/noise": noise,
        "in/y": labels,
        "in/ids_strong": strong,
        "in/ids_weak": weak,
        "out/sg_0.2_0.8_1.6": euler(sparse, noise.double(), steps),
    }
    config = {"model": odd.config, "sampler": sampler, "steps": steps}
    _, cases = check_file(recorded(tmp_path / "sg.safetensors", config, tensors))
    assert [case.passed for case in cases] == [True], cases

    odd = ODD["sprint"]
    made = network(odd.architecture)
    noise, labels = torch.randn(BATCH, 3, 10, 10, generator=generator(6)), torch.tensor([0, 2, 4])
    null, nothing = torch.full_like(labels, 5), torch.zeros(BATCH, 0, dtype=torch.long)

    def dropped(x: Tensor, t: float, step: int) -> Tensor:
        low = timed(made, x, t, null, nothing)
        return low + 3 * (timed(made, x, t, labels) - low)

    out = {"out/pdg_3.0": euler(dropped, noise.double(), steps)}
    tensors = {**state_of(made, odd), "in/noise": noise, "in/y": labels, **out}
    config = {"model": odd.config, "sampler": sampler, "steps": steps}
    _, cases = check_file(recorded(tmp_path / "pdg.safetensors", config, tensors))
    assert [case.passed for case in cases] == [True], cases


@pytest.mark.parametrize("name", ["tread, two routes", "maskdit"])
@torch.no_grad()
def test_an_edm_run(name: str, tmp_path: Path) -> None:
    """TREAD's network was published as an EDM denoiser as well."""
    odd, steps = ODD[name], 4
    made, a = network(odd.architecture), odd.architecture
    noise, labels = torch.randn(BATCH, *a.sample_shape, generator=generator(8)), torch.tensor([0, 1, 5])

    def denoised(x: Tensor, sigma: float) -> Tensor:
        whole = sigma**2 + 0.25
        raw = timed(made, x / math.sqrt(whole), math.log(sigma) / 4, labels)
        return 0.25 / whole * x + sigma * 0.5 / math.sqrt(whole) * raw

    high, low = 80 ** (1 / 7), 0.002 ** (1 / 7)
    sigmas = [(high + i / (steps - 1) * (low - high)) ** 7 for i in range(steps)]
    x = noise.double() * 80
    for here, there in zip(sigmas, [*sigmas[1:], 0.0], strict=True):
        slope = (x - denoised(x, here)) / here
        ahead = x + (there - here) * slope
        if there:
            ahead = x + (there - here) * (slope + (ahead - denoised(ahead, there)) / there) / 2
        x = ahead
    one_hot = {"in/y_onehot": torch.eye(6)[labels]} if name == "maskdit" else {"in/y": labels}
    tensors = {**state_of(made, odd), "in/noise": noise, **one_hot, "out/none": x}
    config = {
        "model": odd.config,
        "sampler": "EDM Heun, sigma 80 to 0.002, rho 7, no churn, state in float64",
        "steps": steps,
    }
    _, cases = check_file(recorded(tmp_path / "edm.safetensors", config, tensors))
    assert [case.passed for case in cases] == [True], cases


@torch.no_grad()
def test_a_ddim_run_of_mdtv2(tmp_path: Path) -> None:
    odd, times = ODD["mdtv2"], [0, 333, 666, 999]
    made = network(odd.architecture)
    noise, labels = torch.randn(BATCH, 3, 6, 6, generator=generator(9)), torch.tensor([0, 1, 8])
    kept = torch.cumprod(1 - torch.linspace(1e-4, 0.02, 1000, dtype=torch.float64), 0)[times].tolist()
    x = noise
    for time, level, before in zip(reversed(times), reversed(kept), [*reversed(kept[:-1]), 1.0], strict=True):
        epsilon = timed(made, x, float(time), labels)
        image = (x - math.sqrt(1 - level) * epsilon) / math.sqrt(level)
        x = math.sqrt(before) * image + math.sqrt(1 - before) * epsilon
    tensors = {**state_of(made, odd), "in/noise": noise, "in/y": labels, "out/none": x}
    config = {"model": odd.config, "sampler": "DDIM eta 0 on a respaced 1000-step linear-beta schedule", "steps": 4}
    family, cases = check_file(recorded(tmp_path / "ddim.safetensors", config, tensors))
    assert family.name == "mdtv2"
    assert [case.passed for case in cases] == [True], cases


# Damaged files


def test_weights_that_are_not_the_networks_are_explained(tmp_path: Path) -> None:
    config, tensors = golden("sit")
    path = tmp_path / "x.safetensors"
    name = "state/blocks.3.mlp.fc1.weight"
    lacking = {key: tensor for key, tensor in tensors.items() if key != name}
    assert "1 missing (blocks.3.mlp.fc1.weight [128, 32])" in sentence(recorded(path, config, lacking))
    reshaped = {**tensors, name: tensors[name][:-1]}
    assert "1 of another shape (blocks.3.mlp.fc1.weight [127, 32], in the network [128, 32])" in sentence(
        recorded(path, config, reshaped)
    )
    extra = {**tensors, "state/blocks.3.mlp.fc3.weight": tensors[name]}
    assert "1 unexpected (blocks.3.mlp.fc3.weight" in sentence(recorded(path, config, extra))
    deeper = {**config, "depth": 7}
    assert "fewer layers: 6 blocks in the file, 7 in the network" in sentence(recorded(path, deeper, tensors))
    bare = {key: tensor for key, tensor in tensors.items() if not key.startswith("state/")}
    assert "no weights of a network are in the file" in sentence(recorded(path, config, bare))


def test_files_that_are_not_golden_files(tmp_path: Path) -> None:
    path = tmp_path / "x.safetensors"
    whole = GOLDEN[0].read_bytes()
    for content in (b"", b"not a safetensors file at all", whole[:100], whole[:-1]):
        path.write_bytes(content)
        assert "this is not a readable golden file" in sentence(path)
    assert "this is not a readable golden file" in sentence(tmp_path / "absent.safetensors")
    _, tensors = golden("sit")
    save_file(tensors, path)
    assert "a JSON `config` in its metadata" in sentence(path)
    assert "a JSON `config` in its metadata" in sentence(write(path, "{", tensors))


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "spelling"), [("traj_dit_ddpm", "ddpm, states in float64"), ("traj_maskdit_edm", "edm-heun")]
)
def test_a_sampler_may_be_spelt_as_suites_spell_it(name: str, spelling: str, tmp_path: Path) -> None:
    config, tensors = golden(name)
    _, cases = check_file(recorded(tmp_path / "x.safetensors", {**config, "sampler": spelling}, tensors))
    assert cases
    assert all(case.passed for case in cases)


@pytest.mark.slow
def test_cases_that_cannot_be_replayed(tmp_path: Path) -> None:
    config, tensors = golden("tread_dit")
    path = tmp_path / "x.safetensors"
    unknown = {**tensors, "out/danse": tensors["out/dense"]}
    assert "out/danse is not a known case" in sentence(recorded(path, config, unknown))
    without_ids = {key: tensor for key, tensor in tensors.items() if key != "in/ids_keep_0.5"}
    assert "a recorded case needs in/ids_keep_0.5" in sentence(recorded(path, config, without_ids))
    without_labels = {key: tensor for key, tensor in tensors.items() if key != "in/y"}
    assert "a recorded case needs in/y" in sentence(recorded(path, config, without_labels))
    nothing = {key: tensor for key, tensor in tensors.items() if not key.startswith("out/")}
    assert "the file records no outputs" in sentence(recorded(path, config, nothing))
    config, tensors = golden("traj_tread_euler")
    unknown = {**tensors, "out/cgf_1.5": tensors["out/cfg_1.5"]}
    assert "out/cgf_1.5 is not a known case" in sentence(recorded(path, config, unknown))
    assert "unknown sampler 'dpm++'" in sentence(recorded(path, {**config, "sampler": "dpm++"}, tensors))
    without_ids = {key: tensor for key, tensor in tensors.items() if key != "in/ids_weak"}
    assert "a recorded case needs in/ids_weak" in sentence(recorded(path, config, without_ids))


@pytest.mark.parametrize("key", ["hidden_size", "input_size", "num_heads", "depth"])
def test_a_config_without_a_size(key: str, tmp_path: Path) -> None:
    config, tensors = golden("sit")
    lacking = {name: value for name, value in config.items() if name != key}
    assert "config does not describe a SiT" in sentence(recorded(tmp_path / "x.safetensors", lacking, tensors))


@pytest.mark.parametrize("change", [{"num_heads": 5}, {"hidden_size": "wide"}, {"in_channels": None}], ids=str)
def test_a_config_with_sizes_that_no_network_has(change: dict[str, Any], tmp_path: Path) -> None:
    config, tensors = golden("sit")
    found = sentence(recorded(tmp_path / "x.safetensors", {**config, **change}, tensors))
    assert "config does not describe a SiT" in found


@pytest.mark.parametrize("text", ["[]", "null", "3", '"sit"', '{"model": 3, "sampler": "euler", "steps": 5}'])
def test_a_config_that_is_no_mapping(text: str, tmp_path: Path) -> None:
    assert "config" in sentence(write(tmp_path / "x.safetensors", text, golden("sit")[1]))


def test_a_trajectory_without_a_number_of_steps(tmp_path: Path) -> None:
    config, tensors = golden("traj_tread_euler")
    path = tmp_path / "x.safetensors"
    assert "steps" in sentence(recorded(path, {k: v for k, v in config.items() if k != "steps"}, tensors))
    assert "steps" in sentence(recorded(path, {**config, "steps": "five"}, tensors))


def test_inputs_that_do_not_fit_the_network(tmp_path: Path) -> None:
    config, tensors = golden("tread_dit")
    path = tmp_path / "x.safetensors"
    for name, wrong in {
        "in/ids_keep_0.5": tensors["in/ids_keep_0.5"] + 16,
        "in/y": tensors["in/y"] + 11,
        "in/x": tensors["in/x"][:, :, :6],
    }.items():
        sentence(recorded(path, config, {**tensors, name: wrong}))


def test_an_output_of_another_shape_or_without_numbers_fails(tmp_path: Path) -> None:
    config, tensors = golden("sit")
    path = tmp_path / "x.safetensors"
    for wrong in (tensors["out/dense"][:, :, :6], tensors["out/dense"] * float("nan")):
        _, cases = check_file(recorded(path, config, {**tensors, "out/dense": wrong}))
        assert {case.name: case.passed for case in cases} == {"dense": False, "uncond": True}
