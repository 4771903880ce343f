"""`sgbench guidance`: what rules there are and what each one is."""

from __future__ import annotations

import json
from typing import Annotated

import typer

from sgbench.errors import UserError
from sgbench.guidance import RULES
from sgbench.guidance.presets import PRESETS
from sgbench.suite.suggest import suggestion

guidance = typer.Typer(help="Guidance rules: formulas, sources, settings, costs.", no_args_is_help=True)
Json = Annotated[bool, typer.Option("--json", help="Print one JSON document as the last line.")]


@guidance.command("list")
def list_rules(as_json: Json = False) -> None:
    """Every rule and preset in a line."""
    from sgbench.guidance.card import card

    cards = [card(rule) for rule in RULES.values()]
    presets = [preset._asdict() for preset in PRESETS.values()]
    if as_json:
        print(json.dumps({"rules": cards, "presets": presets}))
        return
    for c in cards:
        print(f"{c['name']:10} {c['title']:12} {c['relative_cost']:5.2f}  {c['formula']}")
    for preset in PRESETS.values():
        settings = ", ".join(f"{key} {value}" for key, value in preset.settings.items())
        print(f"{preset.name:15} {preset.rule}: {settings}")
    print(
        "The number is the cost of a step over an unguided one; `sgbench guidance show NAME` says for which settings."
    )


@guidance.command()
def show(
    name: Annotated[str, typer.Argument(metavar="NAME", help="A rule or a preset.")], as_json: Json = False
) -> None:
    """One rule in full: formula, source, branches, settings, needs and cost."""
    from sgbench.guidance.card import card, section

    if name in PRESETS:
        preset = PRESETS[name]
        if as_json:
            print(json.dumps(preset._asdict()))
            return
        print(f"{preset.name}: {preset.rule} with its own settings")
        for key, value in preset.settings.items():
            print(f"- {key}: {value}")
        print(f"- Source: {preset.source}.\n- Note: {preset.note}.")
        return
    known = [*RULES, *PRESETS]
    if name not in RULES:
        raise UserError(
            f"there is no guidance rule {name!r}{suggestion(name, known)}",
            where="NAME",
            fix=f"choose one of: {', '.join(known)}",
        )
    c = card(RULES[name])
    if as_json:
        print(json.dumps(c))
        return
    print(c["title"])
    print(f"- Branches: {'; '.join(c['branches'])}.")
    print("\n".join(section(c)))


@guidance.command()
def page() -> None:
    """docs/guidance.md, made of the rules themselves."""
    from sgbench.guidance.card import page as text

    print(text(), end="")
