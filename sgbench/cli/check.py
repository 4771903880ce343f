"""`sgbench check`: whether a rule, model, sampler, metric or extractor keeps the laws of its kind."""

from collections import Counter
from collections.abc import Iterable, Iterator
from itertools import groupby
from pathlib import Path
from typing import Annotated, Any

import typer

from sgbench.cli.options import Json, emit
from sgbench.conformance.law import Verdict

NOT = "not applicable"
SIGNS = {"held": "held", "broken": "BROKEN", NOT: "-"}


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
    """Hold a rule, model, sampler, metric or extractor against the laws of its kind.

    The exit status is 1 if one is broken, or if none could be tried.
    """
    from sgbench.conformance.check import subjects

    documents: list[dict[str, Any]] = []
    for subject in subjects(thing, Path.cwd(), weights):
        verdicts: list[Verdict] = []
        if not as_json:
            print(f"{subject.name}: {subject.kind.what}, from {subject.origin}", flush=True)
        for alike in _alike(subject.verdicts()):
            verdicts += alike
            if not as_json:
                print(*_lines(alike, len(subject.kind.laws)), sep="\n", flush=True)
        about = {"name": subject.name, "kind": subject.kind.what, "origin": subject.origin}
        documents.append({**about, "laws": [verdict._asdict() for verdict in verdicts]})
    outcomes = Counter(law["outcome"] for document in documents for law in document["laws"])
    tried = outcomes["held"] + outcomes["broken"]
    text = f"{outcomes.total()} laws: " + ", ".join(f"{outcomes[outcome]} {outcome}" for outcome in SIGNS)
    passed = bool(tried) and not outcomes["broken"]
    emit({"passed": passed, "things": documents}, as_json, text if tried else f"{text}: nothing could be tried")
    if not passed:
        raise typer.Exit(1)


def _alike(verdicts: Iterable[Verdict]) -> Iterator[list[Verdict]]:
    """One after the other, as they come; those that do not apply, for one reason, together."""
    of = groupby(verdicts, lambda verdict: (verdict.law, "") if verdict.outcome != NOT else (NOT, verdict.detail))
    return (list(alike) for _, alike in of)


def _lines(alike: list[Verdict], laws: int) -> list[str]:
    """A line for each, or one for many of which there is nothing to tell apart: of `laws` all, or all but the first."""
    if len(alike) > 1 and len(alike) >= laws - 1:
        return [f"  {SIGNS[NOT]:6}  {len(alike)} laws: {alike[0].detail}"]
    return [f"  {SIGNS[verdict.outcome]:6}  {verdict}" for verdict in alike]
