"""`sgbench doctor`: are the results whole, is the installation sound? Exit status 0 clean, 1 problems left."""

from __future__ import annotations

from typing import Annotated

import typer

from sgbench import api
from sgbench.cli.console import make_progress
from sgbench.cli.options import Json, Reports, Results, emit
from sgbench.doctor.finding import Finding

LISTED = 200


def doctor(
    results: Results = api.RESULTS,
    reports: Reports = api.REPORTS,
    suite: Annotated[
        list[str] | None,
        typer.Option("--suite", metavar="NAME", help="Only the results of this suite; may be repeated."),
    ] = None,
    repair: Annotated[
        bool, typer.Option("--repair", help="Remove what is damaged and can be made again; build rows anew.")
    ] = False,
    installation: Annotated[
        bool, typer.Option("--installation/--no-installation", help="Check packages, weights, extractors and device.")
    ] = True,
    as_json: Json = False,
) -> None:
    """Check results and installation; exit status 1 where problems are left."""
    counted: dict[str, int] = {}

    def tell(found: Finding, repaired: bool) -> None:
        kind = "repaired" if repaired else "problem" if found.problem else "note"
        counted[kind] = counted.get(kind, 0) + 1
        if not as_json and counted[kind] <= LISTED:
            print(f"{kind}: {found.where}: {found.what}; {found.remedy}", flush=True)

    diagnosis = api.examine_results(
        results,
        reports,
        suite or (),
        repair=repair,
        installation=installation,
        progress=make_progress(),
        told=tell,
    )
    if not as_json:
        for kind, count in counted.items():
            if count > LISTED:
                print(f"{kind}: {count - LISTED:,} more, which --json lists")
        for name, fact in diagnosis.facts.items():
            print(f"{name}: {fact}")
    trees, mended = len(diagnosis.trees), counted.get("repaired", 0)
    emit(
        diagnosis.as_dict(),
        as_json,
        f"{trees} suite{'' if trees == 1 else 's'} of results checked: "
        f"{diagnosis.left or 'no'} problem{'' if diagnosis.left == 1 else 's'} left, {mended} repaired",
    )
    if diagnosis.left:
        raise typer.Exit(1)
