"""Options that several commands share, and how a command says what it did."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated, Any

import typer

SuiteFile = Annotated[Path, typer.Argument(metavar="SUITE", help="A suite file, such as suites/fashion-mnist.yaml.")]
PresetName = Annotated[str | None, typer.Option("--preset", help="A preset of the suite file.")]
Limit = Annotated[int | None, typer.Option("--limit", min=1, help="At most N images per cell, the first of each.")]
Results = Annotated[Path, typer.Option("--results", help="Folder of results.")]
Reports = Annotated[Path, typer.Option("--reports", help="Folder of reports.")]
Device = Annotated[str, typer.Option("--device", help="auto, cpu, cuda or cuda:N.")]
Batch = Annotated[
    int | None,
    typer.Option("--batch", min=1, help="Images per batch, on a CPU in whole groups; does not change them."),
]
Json = Annotated[bool, typer.Option("--json", help="Print one JSON document as the last line.")]


def finish(document: dict[str, Any], as_json: bool, text: str) -> None:
    """The last line of a command's output: one JSON document, or text."""
    print(json.dumps(document) if as_json else text, flush=True)
