"""What one call, one guided step and one image cost, for any family and size: closed form beside fvcore's count."""

from __future__ import annotations

from typing import Any, NamedTuple

from sgbench.base.choices import suggestion
from sgbench.base.errors import UserError
from sgbench.cells.closed_form import call_macs
from sgbench.guidance import RULES, Rule
from sgbench.guidance.settings import Guidance
from sgbench.guidance.subset_rules import kept_tokens
from sgbench.models.architectures import Architecture
from sgbench.models.architectures.base import Macs
from sgbench.models.catalogue import Entry, entry
from sgbench.models.families import family
from sgbench.models.spec import RANDOM, from_fields
from sgbench.samplers.catalogue import SAMPLERS


class Question(NamedTuple):
    """What `sgbench flops` was asked."""

    family: str
    size: str
    resolution: int
    route: str | None
    guidance: str
    gamma_strong: float
    gamma_weak: float
    steps: int


def flops_card(asked: Question) -> dict[str, Any]:
    """The answer as one JSON document, in GMACs. Raises UserError for a question that makes no sense.

    Raises MiscountError when fvcore meets an operator it cannot count, or disagrees with the closed form.
    """
    known = family(asked.family, "FAMILY")
    model = _model(asked)
    architecture = model.architecture
    rule = _rule(asked, model)
    guidance = Guidance(rule.name, 1.0, asked.gamma_strong, asked.gamma_weak)
    calls = []
    stated, counted = Macs(0, 0, 0), Macs(0, 0, 0)
    for name, branch in zip(("strong", "weak"), rule.branches, strict=False):
        gamma = branch.gamma(guidance)
        closed, found = call_macs(architecture, gamma), _counted(architecture, gamma)
        stated, counted = stated.plus(closed), counted.plus(found)
        calls.append(
            {
                "branch": name,
                "gamma": gamma,
                "kept_tokens": kept_tokens(architecture.grid_tokens, gamma),
                **_both(closed, found),
            }
        )
    sampler = known.samplers[0]
    evaluations = SAMPLERS[sampler].evaluations(asked.steps)
    return {
        "unit": "GMACs; 1 multiply-accumulate = 2 FLOPs",
        "family": known.name,
        "size": "" if known.pipeline else asked.size,
        "resolution": asked.resolution,
        "routes": list(getattr(architecture, "routes", ())),
        "note": known.note,
        "guidance": rule.name,
        "sampler": sampler,
        "steps": asked.steps,
        "evaluations": evaluations,
        "conventions": {
            "macs": "all products, attention included, LayerNorm 4 per element",
            "paper": "no attention products, LayerNorm 2 per element (arXiv 2601.01608, Table 2)",
        },
        "per_call": calls,
        "per_step": _both(stated, counted),
        "per_image": _both(stated.times(evaluations), counted.times(evaluations)),
    }


def _model(asked: Question) -> Entry:
    # A pipeline is of the size it was published with.
    size = None if family(asked.family, "FAMILY").pipeline else asked.size
    fields = {"family": asked.family, "size": size, "resolution": asked.resolution, "weights": RANDOM}
    where = "--size, --resolution, --route"
    return entry(from_fields(fields | ({"route": asked.route} if asked.route else {}), where).text(), where)


def _rule(asked: Question, model: Entry) -> Rule:
    if asked.guidance not in RULES:
        raise UserError(
            f"there is no guidance rule {asked.guidance!r}{suggestion(asked.guidance, list(RULES))}",
            where="--guidance",
            fix=f"choose one of: {', '.join(RULES)}",
        )
    rule = RULES[asked.guidance]
    if rule.perturbed is not None:
        raise UserError(
            f"what {rule.title} costs depends on the blocks it perturbs",
            where="--guidance",
            fix="write a suite with its layers, and ask `sgbench plan`",
        )
    if rule.drops_path and not model.can_drop_path:
        raise UserError(
            f"{rule.title} drops the middle path, and {model.family.title} has none",
            where="--guidance",
            fix="choose another rule, or the family sprint",
        )
    for name, value in (("gamma_strong", asked.gamma_strong), ("gamma_weak", asked.gamma_weak)):
        option = f"--{name.replace('_', '-')}"
        if not 0 <= value < 1:
            raise UserError(f"{value:g} is not in [0, 1)", where=option, fix="give a share of tokens, such as 0.5")
        if value and not getattr(rule, f"takes_{name}"):
            raise UserError(f"{rule.title} has no {name}", where=option, fix="leave it out, or choose another rule")
    if (asked.gamma_strong or asked.gamma_weak) and not model.can_drop_tokens:
        raise UserError(
            f"{model.family.title} has no route for dropped tokens",
            where="--route",
            fix="add --route FIRST-LAST, such as 2-24, or leave the gammas at 0",
        )
    return rule


def _counted(architecture: Architecture, gamma: float) -> Macs:
    import torch

    from sgbench.cost.macs import count_call
    from sgbench.networks.build import build

    # Shapes are all that counting needs: initial values would take longer than the call itself.
    with torch.device("meta"):
        network = build(architecture)
    network = network.to_empty(device="cpu").eval()
    for buffer in network.buffers():
        buffer.zero_()
    with torch.no_grad():
        return count_call(network, gamma)


def _both(closed: Macs, counted: Macs) -> dict[str, Any]:
    return {
        "macs": closed.macs / 1e9,
        "paper": closed.paper / 1e9,
        "gflops": 2 * closed.macs / 1e9,
        "fvcore": {"macs": counted.macs / 1e9, "paper": counted.paper / 1e9},
    }
