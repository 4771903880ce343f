"""`sgbench compare`: two result sets, and a gate for CI."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from sgbench import api
from sgbench.cli.options import Json, Results, emit

REGRESSION = 3
Side = Annotated[
    str, typer.Argument(help="results/<suite>, rows.csv, a cell's folder or id, or a document of `score --json`.")
]


def compare(
    a: Side,
    b: Side,
    metrics: Annotated[str | None, typer.Option("--metrics", help="Compare only these, with commas.")] = None,
    seconds: Annotated[bool, typer.Option("--seconds/--no-seconds", help="Compare seconds per image.")] = True,
    everything: Annotated[bool, typer.Option("--all", help="List what did not change, too.")] = False,
    output: Annotated[Path | None, typer.Option("--output", help="Write the table to this Markdown file.")] = None,
    fail_on_regression: Annotated[
        bool,
        typer.Option("--fail-on-regression", help="Exit with 3 if B is worse, misses a cell or does not compare."),
    ] = False,
    results: Results = api.RESULTS,
    as_json: Json = False,
) -> None:
    """Compare B with A: what is better, worse, the same, or not comparable."""
    from sgbench.compare.wording import markdown

    names = None if metrics is None else [name.strip() for name in metrics.split(",") if name.strip()]
    found = api.compare_results(a, b, names, results=results, seconds=seconds)
    text = markdown(found, everything)
    if output is not None:
        _write(output, text)
    failures = found.failures()
    if fail_on_regression:
        text += "\n\n" + "\n".join([f"Fails: {f}." for f in failures] or ["Passes: nothing is worse."])
    emit(found.as_dict(everything), as_json, text)
    if fail_on_regression and failures:
        raise typer.Exit(REGRESSION)


def _write(path: Path, text: str) -> None:
    from sgbench.base.atomic import refusal, write_atomic

    try:
        write_atomic(path, f"{text}\n".encode())
    except OSError as error:
        raise refusal(error, "the comparison could not be written", where=path, fix="choose another file") from error
