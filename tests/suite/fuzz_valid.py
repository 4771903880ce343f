"""Suites from the vocabulary of rules, samplers, schedules, presets and models; most of them plan."""

from __future__ import annotations

from typing import Any

from hypothesis import strategies as st

from sgbench.guidance import RULES, Rule
from sgbench.guidance.branches import Parameter
from sgbench.guidance.presets import PRESETS
from sgbench.samplers.catalogue import SAMPLERS
from sgbench.suite.schema import SweepEntry

# (models of one kind, how many of their classes or prompts, samplers, what the suite says besides)
EMBEDDED = {"reference": "fashion-mnist", "samples": 40}
KINDS: list[tuple[list[Any], list[str], dict[str, Any]]] = [
    (["fashion-routing", "fashion-masking", "fashion-dense"], ["euler", "heun", "euler-maruyama"], EMBEDDED),
    (["shapes"], ["euler", "heun"], {"prompts": "shapes", "samples": 200, "metrics": ["composition"]}),
    (
        ["tread-sit XL/2 256 weights=random", {"family": "sit", "size": "B/4", "weights": "random"}],
        ["euler", "heun", "euler-maruyama"],
        {"autoencoder": "none"},
    ),
    ([{"family": "sprint", "size": "L/2", "resolution": 512, "weights": "random"}], ["euler-maruyama"], {}),
    (["dit-xl-256", "mdtv2-xl-256", "tread-dit S/2 256 weights=gone.safetensors"], ["ddim", "ddpm"], {}),
    (["maskdit-xl-256-guided"], ["edm-heun"], {"compile": "default"}),
    (["prx 512 weights=random", "prx 256 route=2-5 weights=random"], ["euler"], {"prompts": "shapes"}),
]
FASHION = ["fd", "fd_lite0", "kd", "precision", "recall", "density", "label_agreement", "nearest_train"]
GAMMA_PAIRS = [(0, 0.5), (0.1, 0.9), (0.25, 0.75), ("linear 0 to 0.3", "linear 0.4 to 0.9"), ("cosine 0 to 0.2", 0.5)]
SCHEDULES = ["constant", "linear", "cosine", "power-cosine 4", "linear falling"]
INTERVALS = ["always", "progress 0.2 to 0.8", "noise 0 to 0.7"]


def some(values: list[Any], most: int = 2) -> st.SearchStrategy[Any]:
    """One value without brackets, or a short list of different ones."""
    one = st.sampled_from(values)
    return one | st.lists(one, min_size=1, max_size=most, unique_by=repr)


def numbers(low: float, high: float) -> st.SearchStrategy[Any]:
    ends = [v for v in (low, (low + min(high, low + 3)) / 2, min(high, 8.0)) if v]
    return some([1.5, *ends]) if low <= 1.5 <= high else some(ends or [0.5])


def parameter_values(parameter: Parameter) -> st.SearchStrategy[Any]:
    if parameter.text == "layers":
        return some(["3", "3-4", "1,3-5"])
    if parameter.text == "interval":
        return some(INTERVALS)
    return some([0, 1]) if parameter.whole else numbers(parameter.low, parameter.high)


@st.composite
def entries(draw: st.DrawFn, samplers: list[str]) -> dict[str, Any]:
    """A sweep entry of one rule or preset, with settings that the rule takes."""
    name = draw(st.sampled_from([*RULES, *PRESETS]))
    preset = PRESETS[name].settings if name in PRESETS else {}
    rule: Rule = RULES[PRESETS[name].rule if name in PRESETS else name]
    entry: dict[str, Any] = {"guidance": name}
    chosen = draw(st.sets(st.sampled_from(sorted(set(SweepEntry.model_fields) - {"guidance", "model"})), max_size=3))
    if rule.takes_scale and "scale" not in preset:
        entry["scale"] = draw(numbers(*rule.scale_range))
    strong, weak = draw(st.sampled_from(GAMMA_PAIRS))
    wanted = rule.gammas_default is None or "gamma_weak" in chosen
    if rule.takes_gamma_strong and "gamma_strong" not in preset and wanted:
        entry["gamma_strong"] = strong
    if rule.takes_gamma_weak and "gamma_weak" not in preset and wanted:
        entry["gamma_weak"] = weak
    for parameter in rule.parameters:
        if parameter.default is None or parameter.name in chosen:
            entry[parameter.name] = draw(parameter_values(parameter))
    if rule.guided:
        steering = {"interval": INTERVALS, "scale_schedule": SCHEDULES, "rescale": [0, 0.7], "channels": ["all", 1]}
        entry |= {key: draw(some(values)) for key, values in steering.items() if key in chosen}
    if "sampler" in chosen:
        entry["sampler"] = draw(some(samplers))
    if "steps" in chosen:
        entry["steps"] = draw(some([2, 4, 50]))
    return entry


@st.composite
def valid(draw: st.DrawFn) -> dict[str, Any]:
    """A suite that means something. Not every one plans: a model need not serve a rule."""
    models, samplers, more = draw(st.sampled_from(KINDS))
    sampler = draw(st.sampled_from(samplers))
    kind = SAMPLERS[sampler]
    extras: dict[str, Any] = {}
    if "shift" in kind.takes and draw(st.booleans()):
        extras["shift"] = draw(st.sampled_from([1, 2.5]))
    if "churn" in kind.takes and draw(st.booleans()):
        extras |= {"churn": 40, "churn_min": 0.05, "churn_max": 50}
    sweep = draw(st.lists(entries(samplers), min_size=1, max_size=3))
    content: dict[str, Any] = {
        "suite": draw(st.sampled_from(["a", "fuzz-1", "b.c_d"])),
        "title": draw(st.sampled_from(["T", "Größe & <b>", "=1+1"])),
        "seed": draw(st.sampled_from([0, 7, 2**62])),
        "samples": draw(st.sampled_from([20, 100, 50_000])),
        "labels": draw(st.sampled_from(["balanced", "random"])),
        "dtype": draw(st.sampled_from(["float32", "bfloat16", "auto"])),
        "metrics": [],
        "model": draw(some(models)),
        "sampler": {"name": sampler, "steps": draw(st.sampled_from([1, 2, 10, 250])), **extras},
        "sweep": sweep,
        **more,
    }
    if "reference" in more:
        content["metrics"] = draw(st.lists(st.sampled_from(FASHION), max_size=3, unique=True))
    if draw(st.booleans()):
        content["presets"] = {"quick": {"samples": 40, "sweep": sweep[:1]}}
    return content
