"""`sgbench guidance`: what rules there are and what each one is."""

from __future__ import annotations

from typing import Annotated

import typer

from sgbench.base.choices import unknown
from sgbench.cli.options import Json, emit
from sgbench.guidance import RULES
from sgbench.guidance.presets import PRESETS

guidance = typer.Typer(help="Guidance rules: formulas, sources, settings, costs.", no_args_is_help=True)


@guidance.command("list")
def list_rules(as_json: Json = False) -> None:
    """Every rule and preset in a line."""
    from sgbench.plan.rule_cards import card

    cards = [card(rule) for rule in RULES.values()]
    presets = [preset._asdict() for preset in PRESETS.values()]
    lines = [f"{c['name']:10} {c['title']:12} {c['relative_cost']:5.2f}  {c['formula']}" for c in cards]
    for preset in PRESETS.values():
        settings = ", ".join(f"{key} {value}" for key, value in preset.settings.items())
        lines.append(f"{preset.name:15} {preset.rule}: {settings}")
    told = (
        "The number is the cost of a step over an unguided one; `sgbench guidance show NAME` says for which settings."
    )
    emit({"rules": cards, "presets": presets}, as_json, *lines, told)


@guidance.command()
def show(
    name: Annotated[str, typer.Argument(metavar="NAME", help="A rule or a preset.")], as_json: Json = False
) -> None:
    """One rule in full: formula, source, branches, settings, needs and cost."""
    from sgbench.plan.rule_cards import card, section

    if name in PRESETS:
        preset = PRESETS[name]
        lines = [f"{preset.name}: {preset.rule} with its own settings"]
        lines += [f"- {key}: {value}" for key, value in preset.settings.items()]
        lines += [f"- Source: {preset.source}.", f"- Note: {preset.note}."]
        emit(preset._asdict(), as_json, *lines)
        return
    known = [*RULES, *PRESETS]
    if name not in RULES:
        raise unknown("guidance rule", name, known, "NAME")
    c = card(RULES[name])
    emit(c, as_json, c["title"], f"- Branches: {'; '.join(c['branches'])}.", *section(c))


@guidance.command()
def page() -> None:
    """docs/guidance.md, made of the rules themselves."""
    from sgbench.plan.rule_cards import page as text

    print(text(), end="")
