"""A description of every rule: the source of `sgbench guidance` and of docs/guidance.md. No torch."""

import math
from typing import Any

from sgbench.cells.cell import Cell
from sgbench.cells.closed_form import image_macs
from sgbench.guidance import RULES, Branch, Rule
from sgbench.guidance.branches import OfBlocks, Parameter
from sgbench.guidance.presets import PRESETS
from sgbench.guidance.settings import Guidance, plain
from sgbench.guidance.subset_rules import SHARING, SUBSETS
from sgbench.models.catalogue import entry
from sgbench.samplers.settings import Sampler

CONDITIONS = {"given": "c", "null": "null", "random": "random class"}
SPACES = {
    "any": "linear: the same in velocity, noise and image space",
    "native": "the family's prediction (velocity, noise, or the denoised image of EDM)",
    "image": "the denoised image",
    "velocity": "the velocity",
}
STOPS = f"; what stops it is seen on {SPACES['native']}"
# What costs are quoted for: TREAD's SiT-XL/2 at 256 pixels, SPRINT-XL/2 where a path is dropped, the SiT-XL/2 of
# Internal Guidance where an inner head predicts; as a model and in words.
MODEL = "tread-sit XL/2 256 weights=random", "SiT-XL/2 with TREAD's route"
PATH_MODEL = "sprint XL/2 256 weights=random", "SPRINT-XL/2"
INNER_MODEL = "ig-sit XL/2 256 weights=random", "SiT-XL/2 with an inner head"
STEPS = 40


def card(rule: Rule) -> dict[str, Any]:
    """Everything about a rule as one JSON document."""
    low, high = rule.scale_range
    return {
        "name": rule.name,
        "title": rule.title,
        "formula": rule.formula,
        "source": rule.source,
        "from": RULES.origin(rule.name).text,
        "branches": [_branch(branch) for branch in rule.branches],
        "acts_on": SPACES[rule.space] + (STOPS if rule.stop is not None else ""),
        "scale": None if not rule.takes_scale else {"low": low, "high": None if math.isinf(high) else high},
        "scale_default": rule.scale_default,
        "gammas": _gammas(rule),
        "parameters": [_parameter(parameter) for parameter in rule.parameters],
        "needs": _needs(rule),
        "relative_cost": round(relative_cost(rule), 3),
        "relative_cost_at": _example_text(rule),
        "stops": rule.stop is not None,
        "note": rule.note,
    }


def relative_cost(rule: Rule) -> float:
    """Multiply-accumulates of a guided image over those of an unguided one, at the rule's example settings."""
    model, _ = _example_model(rule)

    def macs(guidance: Guidance) -> int:
        return image_macs(Cell(model, guidance, Sampler("euler", STEPS), 0, "balanced", "float32", "none")).macs

    example, architecture = dict(rule.example), entry(model).architecture
    blocks = architecture.block_macs(architecture.grid_tokens)
    own = {parameter.name: example.get(parameter.name, parameter.usual(blocks)) for parameter in rule.parameters}
    # A perturbed branch is called at any push but 0, and its scale of 1 leaves CFG's branch out.
    parameters = tuple((name, 1.0 if value is None else value) for name, value in own.items())
    scale = rule.scale_default or (1.5 if rule.scale_range[1] > 1 else 0.6)
    gammas = {key: value for key, value in example.items() if key in ("gamma_strong", "gamma_weak")}
    return macs(Guidance(rule.name, scale, **gammas, parameters=parameters)) / macs(Guidance("none"))


def _example_model(rule: Rule) -> tuple[str, str]:
    if rule.drops_path:
        return PATH_MODEL
    return INNER_MODEL if rule.needs_inner else MODEL


def _example_text(rule: Rule) -> str:
    _, model = _example_model(rule)
    given = [f"{key} {value}" for key, value in rule.example.items()]
    given += ["w 1"] if rule.scale_default == 1 else []
    return ", ".join([f"{model}, {STEPS} Euler steps", *given])


def _branch(branch: Branch) -> str:
    parts = [CONDITIONS[branch.condition]]
    if branch.checkpoint == "auxiliary":
        parts.append("auxiliary checkpoint")
    if branch.sparsity in ("strong", "weak"):
        parts.append(f"gamma_{branch.sparsity}")
    if branch.sparsity == "path":
        parts.append("middle blocks left out")
    if branch.perturbation is not None:
        parts.append(branch.perturbation.meaning)
    if branch.time:
        parts.append(f"time + {branch.time}")
    if branch.source == "previous":
        parts.append("of the evaluation before")
    if branch.output == "inner":
        parts.append("inner head")
    return ", ".join(parts)


def _gammas(rule: Rule) -> str:
    taken = [name for name in ("gamma_strong", "gamma_weak") if getattr(rule, f"takes_{name}")]
    if not taken:
        return f"none: {rule.dense_because}" if rule.dense_because else "none"
    bound = ", gamma_strong below gamma_weak" if rule.sparser_weak else ""
    usual = "" if rule.gammas_default is None else f", {rule.gammas_default:g} if left out"
    return f"{', '.join(taken)}{bound}{usual}"


def _parameter(parameter: Parameter) -> dict[str, Any]:
    end = "" if math.isinf(parameter.high) else f" to {parameter.high:g}"
    numbers = f"{'whole, ' if parameter.whole else ''}from {parameter.low:g}{end}"
    default = parameter.default.meaning if isinstance(parameter.default, OfBlocks) else parameter.default
    return {
        "name": parameter.name,
        "meaning": parameter.meaning,
        "range": "text" if parameter.text else numbers,
        "default": ".inf" if default == math.inf else plain(default),
    }


def _needs(rule: Rule) -> list[str]:
    needs = []
    if rule.needs_null:
        needs.append("a null class" + (" where w is not 1" if rule.scale_default == 1 else ""))
    if rule.needs_auxiliary:
        needs.append("an auxiliary checkpoint")
    if rule.drops_path:
        needs.append("middle blocks that can be left out (SPRINT)")
    if rule.takes_gamma_strong and rule.guided and rule.gammas_default is None:
        needs.append("a place where tokens are dropped")
    if rule.needs_inner:
        needs.append("an inner head")
    if rule.space == "velocity":
        needs.append("velocity prediction")
    if rule.samplers:
        needs.append(f"the sampler {' or '.join(rule.samplers)}")
    return needs


def page() -> str:
    """docs/guidance.md."""
    cards = [card(rule) for rule in RULES.values()]
    lines = [
        "# Guidance rules",
        "",
        "This page is the output of `sgbench guidance page`. v(c) is the prediction under the given class, v(null) the",
        "unconditional one, w the scale. Every rule is a strong branch steered away from weaker ones; a branch is one",
        "denoiser call. Cost is in multiply-accumulates relative to the unguided rule, at the settings named with it.",
        "",
        "| rule | name | formula | branches | cost |",
        "|---|---|---|---|---|",
    ]
    for c in cards:
        branches = "; ".join(c["branches"])
        formula = c["formula"].replace("|", "\\|")
        lines.append(f"| {c['title']} | `{c['name']}` | {formula} | {branches} | {c['relative_cost']:.2f} |")
    for c in cards:
        lines += ["", f"## {c['title']}", "", *section(c)]
    lines += ["", "## Presets", "", "A preset stands where a rule's name does, and brings settings along.", ""]
    lines += ["| preset | rule | settings | source | note |", "|---|---|---|---|---|"]
    for preset in PRESETS.values():
        settings = ", ".join(f"{key}: {value}" for key, value in preset.settings.items())
        lines.append(f"| `{preset.name}` | `{preset.rule}` | {settings} | {preset.source} | {preset.note} |")
    return "\n".join([*lines, *_common(), ""])


def section(c: dict[str, Any]) -> list[str]:
    """A rule's card as lines of Markdown."""
    scale = c["scale"]
    lines = [f"- Name: `{c['name']}`. Source: {c['source']}.", f"- Formula: {c['formula']}"]
    lines.append(f"- Acts on: {c['acts_on']}.")
    if scale is not None:
        least = "above 0" if scale["low"] == 0 else f"from {scale['low']:g}"
        most = "" if scale["high"] is None else f" to {scale['high']:g}"
        usual = "" if c["scale_default"] is None else f", {c['scale_default']:g} if left out"
        lines.append(f"- Scale: {least}{most}{usual}.")
    lines.append(f"- Gammas: {c['gammas']}.")
    for p in c["parameters"]:
        usual = "must be given" if p["default"] is None else f"{p['default']} if left out"
        lines.append(f"- `{p['name']}`: {p['meaning']} ({p['range']}; {usual}).")
    if c["needs"]:
        lines.append(f"- Needs: {', '.join(c['needs'])}.")
    most = "at most " if c["stops"] else ""
    lines.append(f"- Cost: {most}{c['relative_cost']:.3f} of unguided ({c['relative_cost_at']}).")
    if c["note"]:
        lines.append(f"- Note: {c['note']}.")
    return lines


def _common() -> list[str]:
    return [
        "",
        "## For any rule",
        "",
        "- `interval`: where guidance acts; outside it the strong branch alone is called, and counted. `progress A to",
        "  B` is a share of the steps (A <= p < B; in DDIM and DDPM 1 - timestep / 1000), `noise A to B` a noise level",
        "  (A < level <= B: t, sigma, or (timestep + 1) / 1000).",
        "- `scale_schedule`: w(p) = 1 + (w - 1) share(p), share `constant`, `linear`, `cosine` or `power-cosine P` (of",
        "  MDT: (1 - cos(pi p^P)) / 2), rising, or `... falling`; of CFG++ w share(p). The push of a",
        "  perturbed branch follows it.",
        "- `rescale`: phi of CFG-rescale (Lin et al., arXiv 2305.08891), after all else, on the family's prediction.",
        "- `channels`: `all` or the first so many; else as the published sampler does (3 of 4 for DiT, SiT, MDT).",
        "",
        "Where tokens are dropped, a gamma is a number or a schedule, `linear A to B` or `cosine A to B`, and:",
        "",
        *(f"- `subset: {name}`: {meaning}." for name, meaning in SUBSETS.items()),
        *(f"- `sharing: {name}`: {meaning}." for name, meaning in SHARING.items()),
    ]
