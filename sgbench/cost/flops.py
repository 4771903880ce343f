"""What one call, one guided step and one image cost, for any family and size: in closed form and by fvcore's count."""

from typing import Any, NamedTuple

from sgbench.base.choices import unknown
from sgbench.base.errors import UserError
from sgbench.cells.closed_form import CONVENTIONS, kept_macs
from sgbench.guidance import RULES, Rule
from sgbench.guidance.branches import forward
from sgbench.guidance.settings import Guidance
from sgbench.guidance.subset_rules import kept_tokens
from sgbench.models.architecture import Architecture, Macs, total
from sgbench.models.catalogue import ModelInfo, entry
from sgbench.models.families import family
from sgbench.models.family import SHAPE_KEYS
from sgbench.models.spec import RANDOM, from_fields, is_spec, parse
from sgbench.samplers.catalogue import SAMPLERS

SIZE, RESOLUTION = "XL/2", 256


class Question(NamedTuple):
    """The arguments of `sgbench flops`."""

    family: str
    """A family's name, or a written-out model, which has its own size, resolution and route."""
    size: str | None
    resolution: int | None
    route: str | None
    guidance: str
    gamma_strong: float
    gamma_weak: float
    steps: int


def flops_card(question: Question) -> dict[str, Any]:
    """The answer as one JSON document, in GMACs. Raises UserError for a model or rule that cannot be counted so.

    Raises MiscountError when fvcore meets an operator it cannot count, or disagrees with the closed form.
    """
    model = _model(question)
    known = model.family
    architecture = model.architecture
    rule = _rule(question, model)
    guidance = Guidance(rule.name, 1.0, question.gamma_strong, question.gamma_weak)
    called = {name: branch for name, branch in rule.named.items() if branch.source == "call"}
    inner = {forward(branch) for branch in called.values() if branch.output == "inner"}
    # An inner head predicts in the call of another branch, or in one of its own.
    final = [branch for branch in called.values() if branch.output == "final"]
    called = {n: b for n, b in called.items() if b.output == "final" or forward(b) not in final}
    gammas = [branch.gamma(guidance) for branch in called.values()]
    kept = [kept_tokens(architecture.grid_tokens, gamma) for gamma in gammas]
    asked = [(count, forward(branch) in inner) for count, branch in zip(kept, called.values(), strict=True)]
    stated = [kept_macs(architecture, count, inner=heads) for count, heads in asked]
    counted = [_counted(architecture, count, heads) for count, heads in asked]
    calls = [
        {"branch": name, "gamma": gamma, "kept_tokens": count, **_both(closed, found)}
        for name, gamma, count, closed, found in zip(called, gammas, kept, stated, counted, strict=True)
    ]
    sampler = known.samplers[0]
    evaluations = SAMPLERS[sampler].evaluations(question.steps)
    return {
        "unit": "GMACs; 1 multiply-accumulate = 2 FLOPs",
        "family": known.name,
        "size": _size(model.name),
        "resolution": model.image_side,
        "routes": list(getattr(architecture, "routes", ())),
        "note": known.note,
        "guidance": rule.name,
        "sampler": sampler,
        "steps": question.steps,
        "evaluations": evaluations,
        "conventions": CONVENTIONS,
        "per_call": calls,
        "per_step": _both(total(*stated), total(*counted)),
        "per_image": _both(total(*stated).times(evaluations), total(*counted).times(evaluations)),
    }


def _model(question: Question) -> ModelInfo:
    asked = {"--size": question.size, "--resolution": question.resolution, "--route": question.route}
    if is_spec(question.family):
        for option, value in asked.items():
            if value is not None:
                raise UserError("a written-out model says this itself", where=option, fix="leave it out")
        return entry(parse(question.family, "MODEL").text(), "MODEL")
    # A pipeline is of the size it was published with.
    size = None if family(question.family, "FAMILY").pipeline else SIZE if question.size is None else question.size
    resolution = RESOLUTION if question.resolution is None else question.resolution
    fields = {"family": question.family, "size": size, "resolution": resolution, "weights": RANDOM}
    if question.route:
        fields["route"] = question.route
    where = ", ".join(asked)
    return entry(from_fields(fields, where).text(), where)


def _size(name: str) -> str:
    """The letter and patch of a written-out model, or what stands in their place."""
    given = parse(name, "MODEL")
    own = [f"{key}={value}" for key in SHAPE_KEYS if (value := getattr(given, key)) is not None]
    return given.size or given.config or " ".join(own)


def _rule(question: Question, model: ModelInfo) -> Rule:
    if question.guidance not in RULES:
        raise unknown("guidance rule", question.guidance, RULES, "--guidance")
    rule = RULES[question.guidance]
    if rule.perturbed is not None:
        what = f"what {rule.title} costs depends on the blocks it perturbs"
        raise UserError(what, where="--guidance", fix="write a suite with its layers, and run `sgbench plan`")
    if rule.needs_inner and not model.architecture.has_inner_head:
        what = f"{rule.title} needs an inner head, and {model.family.title} has none"
        raise UserError(what, where="--guidance", fix="choose another rule, or the family ig-sit")
    if rule.drops_path and not model.architecture.drops_path:
        what = f"{rule.title} drops the middle path, and {model.family.title} has none"
        raise UserError(what, where="--guidance", fix="choose another rule, or the family sprint")
    for name, value in (("gamma_strong", question.gamma_strong), ("gamma_weak", question.gamma_weak)):
        option = f"--{name.replace('_', '-')}"
        if not 0 <= value < 1:
            raise UserError(f"{value:g} is not in [0, 1)", where=option, fix="give a share of tokens, such as 0.5")
        if value and not getattr(rule, f"takes_{name}"):
            raise UserError(f"{rule.title} has no {name}", where=option, fix="leave it out, or choose another rule")
    if (question.gamma_strong or question.gamma_weak) and not model.architecture.can_drop_tokens:
        fix = "add --route FIRST-LAST, such as 2-24, or leave the gammas at 0"
        raise UserError(f"{model.family.title} has no route for dropped tokens", where="--route", fix=fix)
    return rule


def _counted(architecture: Architecture, kept: int, inner: bool) -> Macs:
    import torch

    from sgbench.cost.macs import count_kept
    from sgbench.networks.denoiser import build

    # Shapes are all that counting needs: initial values would take longer than the call itself.
    with torch.device("meta"):
        network = build(architecture)
    network = network.to_empty(device="cpu").eval()
    for buffer in network.buffers():
        buffer.zero_()
    with torch.no_grad():
        return count_kept(network, kept, inner=inner)


def _both(closed: Macs, counted: Macs) -> dict[str, Any]:
    return {
        "macs": closed.macs / 1e9,
        "paper": closed.paper / 1e9,
        "gflops": 2 * closed.macs / 1e9,
        "fvcore": {"macs": counted.macs / 1e9, "paper": counted.paper / 1e9},
    }
