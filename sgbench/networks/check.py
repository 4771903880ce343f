"""Check a family's network: replay the recorded runs of its published implementation.

A golden file holds a published state dict, inputs and outputs; `tests/golden/README.md` describes the format.
"""

import contextlib
import json
import re
from pathlib import Path
from typing import Any, NamedTuple

import torch
from safetensors import SafetensorError, safe_open
from torch import Tensor

from sgbench.base.errors import UserError, plain
from sgbench.files.headers import UNUSED
from sgbench.guidance import combine
from sgbench.guidance.schedules import scale_schedule
from sgbench.models.families import recognise
from sgbench.models.family import Family
from sgbench.models.family import Prediction as PredictionKind
from sgbench.networks.checkpoints import load_strict, pick_weights
from sgbench.networks.denoiser import Denoiser, build
from sgbench.networks.loading import adapt
from sgbench.networks.prediction import predict
from sgbench.samplers.catalogue import DISCRETE_SAMPLERS, SAMPLERS
from sgbench.samplers.clocks import TRAINED_STEPS
from sgbench.samplers.settings import Prediction, Sampler, SamplerKind

FORWARD_TOLERANCE, TRAJECTORY_TOLERANCE = 1e-4, 1e-3
NUMBER = r"(\d+(?:\.\d+)?)"


class Case(NamedTuple):
    """One recorded run: the largest absolute difference over the largest absolute recorded value."""

    name: str
    error: float
    tolerance: float

    @property
    def passed(self) -> bool:
        """Whether the error is within the tolerance; NaN is not."""
        return self.error <= self.tolerance


class Golden(NamedTuple):
    """A golden file with its network, ready to replay."""

    family: Family
    network: Denoiser
    config: dict[str, Any]
    tensors: dict[str, Tensor]
    where: str

    def input(self, name: str) -> Tensor:
        """The tensor in/NAME. Raises UserError when the file lacks it."""
        if f"in/{name}" not in self.tensors:
            raise UserError(f"a recorded case needs in/{name}", where=self.where, fix="record the file again")
        return self.tensors[f"in/{name}"]

    @property
    def given(self) -> Tensor:
        """The recorded condition: class indices, or a caption embedding (B, L, channels)."""
        if self.family.text:
            return self.input("caption").squeeze(1)
        return self.input("y_onehot").argmax(1) if "in/y_onehot" in self.tensors else self.input("y")

    @property
    def null(self) -> Tensor:
        """The null condition."""
        if self.family.text:
            return torch.zeros_like(self.given)
        return torch.full_like(self.given, self.network.architecture.null_label)


@torch.no_grad()
def check_file(path: Path) -> tuple[Family, list[Case]]:
    """Replay every case of a golden file. Raises UserError for a file that is damaged or of no known family."""
    golden = open_golden(path)
    names = sorted(key.removeprefix("out/") for key in golden.tensors if key.startswith("out/"))
    if not names:
        raise UserError("the file records no outputs", where=str(path), fix="record at least one out/... tensor")
    sampled = "sampler" in golden.config
    replay, usual = (_trajectory, TRAJECTORY_TOLERANCE) if sampled else (_forward, FORWARD_TOLERANCE)
    # A file may set a tighter tolerance, where the usual one would hide a mistake.
    tolerance = min(usual, float(golden.config.get("tolerance", usual)))
    cases = []
    for name in names:
        try:
            found = replay(golden, name)
        except (RuntimeError, IndexError) as error:
            what = f"the inputs of out/{name} do not fit the network ({plain(error)})"
            raise UserError(what, where=str(path), fix="record inputs of the config's sizes") from error
        expected, distance = golden.tensors[f"out/{name}"].double(), float("inf")
        if found.shape == expected.shape:
            distance = float((found.double() - expected).abs().max() / expected.abs().max())
        cases.append(Case(name, distance, tolerance))
    return golden.family, cases


def open_golden(path: Path) -> Golden:
    """The file with its network, weights loaded. Raises UserError for one that is damaged or of no known family."""
    config, tensors = _read(path)
    sizes = config.get("model", config)
    dense = tensors.get("out/dense")
    learned_sigma = _sampler_name(str(config.get("sampler", ""))) in DISCRETE_SAMPLERS or (
        dense is not None and "in/x" in tensors and dense.shape[1] > tensors["in/x"].shape[1]
    )
    if not isinstance(sizes, dict):
        raise UserError("`model` is not a mapping", where=f"{path}: config", fix="record the constructor's arguments")
    family = recognise(sizes, learned_sigma)
    try:
        network = build(family.from_config(sizes))
    except (KeyError, TypeError, ValueError) as error:
        reason = f"no {error}" if isinstance(error, KeyError) else plain(error)
        what = f"the file's config does not describe a {family.title} ({reason})"
        fix = "record the published constructor's arguments in full"
        raise UserError(what, where=f"{path}: config", fix=fix) from error
    state = {name.removeprefix("state/"): t for name, t in tensors.items() if name.startswith("state/")}
    weights, _ = pick_weights(state, str(path))
    load_strict(network, adapt(network, family, weights), str(path), ignore=UNUSED)
    return Golden(family, network.eval(), config, tensors, str(path))


def _read(path: Path) -> tuple[dict[str, Any], dict[str, Tensor]]:
    """The config and all tensors of a golden file."""
    try:
        with safe_open(path, "pt") as stored:
            text = (stored.metadata() or {}).get("config")
            tensors = {name: stored.get_tensor(name) for name in stored.keys()}  # noqa: SIM118
    except (OSError, SafetensorError) as error:
        what = f"this is not a readable golden file ({plain(error)})"
        raise UserError(what, where=str(path), fix="give a safetensors file") from error
    config = None
    with contextlib.suppress(ValueError):
        config = json.loads(text or "")
    if not isinstance(config, dict):
        fix = "record the published constructor's arguments as a JSON `config` in its metadata"
        raise UserError("the file has no config", where=str(path), fix=fix)
    return config, tensors


def _forward(golden: Golden, name: str) -> Tensor:
    """The raw network, as recorded: dense, uncond, inner, pdg, or routed_/dropped_/masked_GAMMA."""
    network, x, t = golden.network, golden.input("x"), golden.input("t")
    if name == "dense":
        return network(x, t, golden.given)
    if name == "uncond":
        return network(x, t, golden.null)
    if name == "inner":
        return network(x, t, golden.given, inner=True)[1]
    if name == "pdg":
        nothing = torch.zeros(len(x), 0, dtype=torch.long)
        return torch.cat([network(x, t, golden.given), network(x, t, golden.null, nothing)])
    if sparse := re.fullmatch(rf"(?:routed|dropped|masked)_{NUMBER}", name):
        return network(x, t, golden.given, golden.input(f"ids_keep_{sparse[1]}"))
    raise _unknown(golden, name)


def _trajectory(golden: Golden, name: str) -> Tensor:
    """A whole sampling run by the sampler that `config` names, with the noise of every step where it has any."""
    noise = golden.input("noise")
    noise = noise.double() if "float64" in str(golden.config["sampler"]) else noise
    sampler = recorded_sampler(golden)
    guided = _guidance(golden, name, SAMPLERS[sampler.name])
    return SAMPLERS[sampler.name].solve(sampler, guided, noise, lambda step: golden.input("step_noise")[step])


def recorded_sampler(golden: Golden) -> Sampler:
    """The sampler of a recorded run with its settings. Raises UserError for one that is not known."""
    recorded, steps = str(golden.config["sampler"]), golden.config.get("steps")
    if not isinstance(steps, int) or steps < 1:
        raise UserError("a trajectory needs `steps`, a number", where=f"{golden.where}: config", fix="record it")
    known = _sampler_name(recorded)
    if known not in SAMPLERS:
        fix = f"record with one of: {', '.join(SAMPLERS)}"
        raise UserError(f"unknown sampler {recorded!r}", where=golden.where, fix=fix)
    settings = {key: float(golden.config[key]) for key in SAMPLERS[known].takes if key in golden.config}
    return Sampler(known, steps, **settings)


def _sampler_name(recorded: str) -> str:
    """The sampler of a recorded name, which begins with ours in its authors' spelling: "EDM Heun, 18 steps", "DDIM"."""
    spelt = recorded.lower().replace(" ", "-")
    return max((name for name in SAMPLERS if spelt.startswith(name)), key=len, default="")


def _guidance(golden: Golden, name: str, sampler: SamplerKind) -> Prediction:
    """The guided prediction that the name of a trajectory describes."""
    # TREAD's network was published with two samplers.
    kind: PredictionKind = "edm" if sampler.clock == "edm" else golden.family.prediction
    variance = sampler.needs_variance

    def one(x: Tensor, level: float, condition: Tensor, tokens: Tensor | None = None) -> Tensor:
        return predict(golden.network, kind, golden.family.sigma_data, x, level, condition, tokens, variance=variance)

    def none(x: Tensor, level: float, step: int) -> Tensor:
        return one(x, level, golden.given)

    def cfg(x: Tensor, level: float, scale: float) -> Tensor:
        return combine(one(x, level, golden.given), one(x, level, golden.null), scale)

    def ig(x: Tensor, level: float, scale: float) -> Tensor:
        strong, weak = predict(golden.network, kind, golden.family.sigma_data, x, level, golden.given, None, inner=True)
        return combine(strong, weak, scale)

    if name == "none":
        return none
    if found := re.fullmatch(rf"(cfg|ig)_{NUMBER}(?:_interval_{NUMBER}_{NUMBER})?", name):
        rule, scale = cfg if found[1] == "cfg" else ig, float(found[2])
        low, high = float(found[3] or "-inf"), float(found[4] or "inf")
        return lambda x, level, step: rule(x, level, scale) if low <= level <= high else none(x, level, step)
    if found := re.fullmatch(rf"cfg_{NUMBER}(?:_power_cosine_{NUMBER})?_first_(\d+)_channels", name):
        most, channels = float(found[1]), int(found[3])
        schedule = scale_schedule(f"power-cosine {found[2]}" if found[2] else "constant")

        def partly(x: Tensor, level: float, step: int) -> Tensor:
            guided = cfg(x, level, 1 + (most - 1) * schedule.at(1 - level / TRAINED_STEPS))
            return torch.cat([guided[:, :channels], none(x, level, step)[:, channels:]], dim=1)

        return partly
    if found := re.fullmatch(rf"pdg_{NUMBER}", name):
        scale, nothing = float(found[1]), torch.zeros(len(golden.given), 0, dtype=torch.long)
        return lambda x, level, step: combine(none(x, level, step), one(x, level, golden.null, nothing), scale)
    if found := re.fullmatch(rf"sg_{NUMBER}_{NUMBER}_{NUMBER}", name):
        scale, strong, weak = float(found[3]), golden.input("ids_strong"), golden.input("ids_weak")
        return lambda x, level, step: combine(
            one(x, level, golden.given, strong[step]), one(x, level, golden.given, weak[step]), scale
        )
    raise _unknown(golden, name)


def _unknown(golden: Golden, name: str) -> UserError:
    fix = "see tests/golden/README.md for the cases"
    return UserError(f"out/{name} is not a known case", where=golden.where, fix=fix)
