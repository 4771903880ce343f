"""`sgbench check`: whether a rule, model, sampler, metric or extractor keeps the laws of its kind."""

from collections import Counter
from pathlib import Path
from typing import Annotated, Any

import typer

from sgbench.cli.options import Json, emit

SIGNS = {"held": "held", "broken": "BROKEN", "not applicable": "-"}


def check(
    thing: Annotated[
        str, typer.Argument(metavar="FILE.py:NAME|NAME", help="An object of your own, or the name of a thing.")
    ],
    weights: Annotated[
        str | None,
        typer.Option("--weights", metavar="FILE", help="Weights of a model of yours; random unless given."),
    ] = None,
    as_json: Json = False,
) -> None:
    """Hold a rule, model, sampler, metric or extractor against the laws of its kind; exit status 1 if one is broken."""
    from sgbench.conformance.check import subjects

    documents: list[dict[str, Any]] = []
    for subject in subjects(thing, Path.cwd(), weights):
        verdicts = []
        if not as_json:
            print(f"{subject.name}: {subject.kind.what}, from {subject.origin}", flush=True)
        for verdict in subject.verdicts():
            verdicts.append(verdict)
            if not as_json:
                print(f"  {SIGNS[verdict.outcome]:6}  {verdict}", flush=True)
        about = {"name": subject.name, "kind": subject.kind.what, "origin": subject.origin}
        documents.append({**about, "laws": [verdict._asdict() for verdict in verdicts]})
    outcomes = Counter(law["outcome"] for document in documents for law in document["laws"])
    broken = outcomes["broken"]
    text = f"{outcomes.total()} laws: " + ", ".join(f"{outcomes[outcome]} {outcome}" for outcome in SIGNS)
    emit({"passed": not broken, "things": documents}, as_json, text)
    if broken:
        raise typer.Exit(1)
