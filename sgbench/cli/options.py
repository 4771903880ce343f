"""Options that several commands share, and how a command says what it did."""

from __future__ import annotations

import contextlib
import json
import sys
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any

import typer

from sgbench import api
from sgbench.base.signals import Interruption
from sgbench.results.faults import Failure, sentences
from sgbench.run.engines import Engine
from sgbench.suite.schema import Suite

SuiteFile = Annotated[
    Path, typer.Argument(metavar="SUITE", help="A suite file, or a name that `sgbench suites list` shows.")
]
PresetName = Annotated[str | None, typer.Option("--preset", help="A preset of the suite file.")]
Limit = Annotated[int | None, typer.Option("--limit", min=1, help="At most N images per cell, the first of each.")]
Results = Annotated[Path, typer.Option("--results", help="Folder of results.")]
Reports = Annotated[Path, typer.Option("--reports", help="Folder of reports.")]
Device = Annotated[str, typer.Option("--device", help="auto, cpu, cuda or cuda:N.")]
Batch = Annotated[
    int | None,
    typer.Option("--batch", min=1, help="Images per batch, on a CPU in whole groups; does not change them."),
]
ShardTimeout = Annotated[
    float | None,
    typer.Option(
        "--shard-timeout",
        min=0.001,
        metavar="SECONDS",
        help="End when a shard takes longer: on a GPU an hour unless given, on a CPU never.",
    ),
]
EngineName = Annotated[
    Engine, typer.Option("--engine", help="What hands out the shards: this process, or Ray on many GPUs or machines.")
]
Gpus = Annotated[
    int | None, typer.Option("--gpus", min=1, help="Workers of Ray, a GPU each; this machine's cores unless given.")
]
Address = Annotated[
    str | None,
    typer.Option(
        "--address",
        metavar="ADDRESS",
        help="Ray's cluster: auto, HOST:PORT or ray://HOST:PORT. One of this machine unless given.",
    ),
]
ThreadsPerWorker = Annotated[
    int | None,
    typer.Option("--threads-per-worker", min=1, help="CPUs and threads of each worker of Ray; 1 unless given."),
]
Json = Annotated[bool, typer.Option("--json", help="Print one JSON document as the last line.")]


def emit(document: Mapping[str, Any], as_json: bool, *lines: str) -> None:
    """What a command found: one JSON document as the last line, or lines of text."""
    print(json.dumps(document) if as_json else "\n".join(lines), flush=True)


@contextlib.contextmanager
def telling_what_is_kept(suite: Suite, results: Path, as_json: bool) -> Iterator[None]:
    """Around work on a suite's results: a signal that ends it is told with what is there by then."""
    try:
        yield
    except Interruption as stop:
        there = api.kept(suite, results)
        stop.kept = (
            f"{there['images_kept']} of {there['images']} images are there, "
            f"{there['cells_scored']} of {there['cells']} cells have scores; "
        )
        if as_json:
            print(json.dumps({"suite": suite.suite, "stopped": str(stop), **there}), flush=True)
        raise


def end_with(failed: Sequence[Failure]) -> None:
    """End a command with status 1 where cells failed, after one sentence for each of the first."""
    for line in sentences(failed):
        print(f"sgbench: {line}", file=sys.stderr, flush=True)
    if failed:
        raise typer.Exit(1)
