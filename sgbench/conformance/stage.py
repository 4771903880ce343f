"""The model that a rule is tried on, and networks with random weights in which every parameter matters."""

from functools import cache
from typing import Any, NamedTuple

import torch

from sgbench.base.errors import UserError
from sgbench.cells.cell import Cell
from sgbench.guidance import Rule
from sgbench.guidance.settings import Guidance
from sgbench.models import catalogue
from sgbench.models.catalogue import ModelInfo
from sgbench.models.families import FAMILIES
from sgbench.models.family import SHAPE_KEYS, Family
from sgbench.models.spec import RANDOM, from_fields
from sgbench.networks.denoiser import Denoiser, build
from sgbench.samplers.settings import Sampler
from sgbench.sampling.conditions import ClassConditions
from sgbench.sampling.networks import Networks, load_networks

EMBEDDED = "fashion-routing"
CPU = torch.device("cpu")


class Stage(NamedTuple):
    """A model by its name in cells, its networks, and a sampler for it."""

    name: str
    networks: Networks
    sampler: str


def stage_for(rule: Rule) -> Stage:
    """The first model that has what a rule needs: the embedded one, or a small one with random weights.

    Raises UserError where there is none.
    """
    for name in (EMBEDDED, *_written_out()):
        entry = catalogue.entry(name)
        samplers = [sampler for sampler in entry.family.samplers if not rule.samplers or sampler in rule.samplers]
        if samplers and _serves(entry, rule):
            return Stage(name, _networks(name, rule.needs_auxiliary), samplers[0])
    what = f"no model that comes with sgbench has what the rule {rule.name} needs"
    raise UserError(what, where="sgbench check", fix="try the rule with a model of your own, in a suite")


def _serves(entry: ModelInfo, rule: Rule) -> bool:
    a = entry.architecture
    return (
        (a.drops_path or not rule.drops_path)
        and (a.has_inner_head or not rule.needs_inner)
        and (rule.space != "velocity" or entry.family.prediction.startswith("velocity"))
    )


def _written_out() -> list[str]:
    fit = [f for f in FAMILIES.values() if f.architecture.conditions == "classes" and set(SHAPE_KEYS) <= set(f.keys)]
    return [from_fields({"family": family.name, **_sizes(family)}, family.name).text() for family in fit]


def _sizes(family: Family) -> dict[str, Any]:
    route = {"route": "1-3"} if family.architecture.has_routes else {}
    return {"depth": 12, "width": 64, "heads": 4, "patch": 2, "resolution": 64, "weights": RANDOM, **route}


@cache
def _networks(name: str, auxiliary: bool) -> Networks:
    entry = catalogue.entry(name)
    if name == EMBEDDED:
        cell = Cell(name, Guidance("none"), Sampler("euler", 1), 0, "balanced", "float32")
        return load_networks(cell, auxiliary, CPU)
    made = [awake(build(entry.architecture), seed) for seed in range(2 if auxiliary else 1)]
    return Networks(made[0], made[1] if auxiliary else None, ClassConditions(entry.classes, CPU))


@torch.no_grad()
def awake(network: Denoiser, seed: int) -> Denoiser:
    """The network with every parameter moved: fresh ones put out nothing but zeros, which would hide everything.

    By normal noise whose deviation keeps what passes a layer of any width at its size.
    """
    generator = torch.Generator().manual_seed(seed)
    for parameter in filter(torch.is_floating_point, network.parameters()):
        fan = parameter[0].numel() if parameter.ndim > 1 else 100
        parameter.add_(torch.randn(parameter.shape, generator=generator) * 0.5 / fan**0.5)
    return network.eval().requires_grad_(False)
