"""`sgbench guidance`: the guidance rules; `sgbench flops`: what guided sampling costs."""

from pathlib import Path
from typing import Annotated

import typer

from sgbench.base.choices import unknown
from sgbench.base.registry import BUILT_IN, load_installed
from sgbench.base.user_code import is_reference
from sgbench.cli.options import Json, emit, group
from sgbench.guidance import RULES
from sgbench.guidance.presets import PRESETS
from sgbench.plan import rule_cards
from sgbench.plan.rule_cards import card, section

guidance = group("guidance", "Guidance rules: formulas, sources, settings, costs.")


@guidance.command("list")
def list_rules(as_json: Json = False) -> None:
    """Every rule and preset, one per line."""
    load_installed()
    cards = [card(rule) for rule in RULES.values()]
    presets = [preset.as_dict() for preset in PRESETS.values()]
    lines = [
        f"{c['name']:13} {c['title']:14} {c['relative_cost']:5.2f}  {c['formula']}{from_text(c['from'])}" for c in cards
    ]
    for preset in PRESETS.values():
        settings = ", ".join(f"{key} {value}" for key, value in preset.settings.items())
        lines.append(f"{preset.name:15} {preset.rule}: {settings}")
    note = "The number is a step's cost relative to an unguided one; `sgbench guidance show NAME` lists its settings."
    emit({"rules": cards, "presets": presets}, as_json, *lines, note)


@guidance.command()
def show(
    name: Annotated[str, typer.Argument(metavar="NAME|FILE.py:RULE", help="A rule or a preset.")],
    as_json: Json = False,
) -> None:
    """One rule in full: formula, source, branches, settings, needs and cost."""
    load_installed()
    name = RULES.bring(name, Path(), "NAME") if is_reference(name) else name
    preset = PRESETS.get(name)
    if preset is not None:
        lines = [f"{preset.name}: {preset.rule} with its own settings"]
        lines += [f"- {key}: {value}" for key, value in preset.settings.items()]
        lines += [f"- Source: {preset.source}.", f"- Note: {preset.note}."]
        emit(preset.as_dict(), as_json, *lines)
        return
    if name not in RULES:
        raise unknown("guidance rule", name, [*RULES, *PRESETS], "NAME")
    c = card(RULES[name])
    emit(c, as_json, c["title"], f"- Branches: {'; '.join(c['branches'])}.", *section(c))


def from_text(origin: str) -> str:
    """Where a thing comes from, for lists; nothing for what comes with sgbench."""
    return "" if origin == BUILT_IN.text else f"  (from {origin})"


@guidance.command()
def page() -> None:
    """Print docs/guidance.md, generated from the rules."""
    print(rule_cards.page(), end="")


def flops(
    family: Annotated[
        str, typer.Argument(metavar="FAMILY|MODEL", help="A family of `sgbench models list`, or a written-out model.")
    ],
    size: Annotated[
        str | None, typer.Option("--size", help="Letter and patch of a family: S/2, B/2, L/2, XL/2 (the default).")
    ] = None,
    resolution: Annotated[int | None, typer.Option("--resolution", help="Pixels a side; 256 by default.")] = None,
    route: Annotated[
        str | None, typer.Option("--route", help="First and last routed block, 2-24; several with commas; none.")
    ] = None,
    guidance: Annotated[str, typer.Option("--guidance", help="A guidance rule.")] = "none",
    gamma_strong: Annotated[float, typer.Option("--gamma-strong", help="Sparsity of the strong branch.")] = 0.0,
    gamma_weak: Annotated[float, typer.Option("--gamma-weak", help="Sparsity of the weak branch.")] = 0.0,
    steps: Annotated[int, typer.Option("--steps", min=1, help="Sampler steps.")] = 40,
    as_json: Json = False,
) -> None:
    """Count one denoiser call, one guided step and one image: closed form and fvcore."""
    from sgbench.cost.flops import Question, flops_card

    card = flops_card(Question(family, size, resolution, route, guidance, gamma_strong, gamma_weak, steps))
    model = " ".join(filter(None, (card["family"], card["size"])))
    text = [
        f"{model}, {card['resolution']} pixels, {card['guidance']}",
        f"{'':28}  {'macs':>10}  {'fvcore':>10}  {'paper':>10}  {'fvcore':>10}  {'GFLOPs':>10}",
    ]
    lines = [(f"call: {c['branch']}, gamma {c['gamma']:g}", c) for c in card["per_call"]]
    lines += [("guided step", card["per_step"]), (f"image ({card['evaluations']} evaluations)", card["per_image"])]
    for what, c in lines:
        numbers = [c["macs"], c["fvcore"]["macs"], c["paper"], c["fvcore"]["paper"], c["gflops"]]
        text.append("  ".join([f"{what:28}", *(f"{number:10.3f}" for number in numbers)]))
    text.append("GMACs but for the last column; macs: " + card["conventions"]["macs"])
    text.append("paper: " + card["conventions"]["paper"])
    if card["note"]:
        text.append(f"Note: {card['note']}.")
    emit(card, as_json, *text)
