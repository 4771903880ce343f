"""`sgbench publish`: reports and an index over them, ready for any static host."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from sgbench import api
from sgbench.cli.options import Json, Reports, emit


def publish(
    folders: Annotated[
        list[Path] | None,
        typer.Argument(metavar="[REPORT]...", help="Report folders; all below --reports unless given."),
    ] = None,
    reports: Reports = api.REPORTS,
    output: Annotated[
        Path, typer.Option("--output", help="The folder to write; refused where it holds anything else.")
    ] = Path("site"),
    as_json: Json = False,
) -> None:
    """Gather reports into one folder with an index, for a web page."""
    done = api.publish(reports, output, folders)
    over = "1 report" if done.reports == 1 else f"{done.reports} reports"
    counts = f"{done.files} files ({done.written} new or changed, {done.removed} removed)"
    emit(done.as_dict(), as_json, f"{done.page}: {over}, {counts}")
