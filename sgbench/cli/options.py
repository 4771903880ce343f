"""What several commands share: their options, and how they find entries, fetch files and say what they did."""

import contextlib
import json
import sys
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any, TypeVar

import typer

from sgbench.base.atomic import refusal, write_atomic
from sgbench.base.choices import unknown
from sgbench.base.signals import Interruption
from sgbench.cli.console import make_progress
from sgbench.files.digest import sha256_of
from sgbench.files.fetch import fetch
from sgbench.files.location import HUB
from sgbench.results.faults import Failure, sentences
from sgbench.results.store import Store
from sgbench.run.engines import Engine
from sgbench.suite.schema import Suite
from sgbench.suite.sweep import expand

Entry = TypeVar("Entry")

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
    typer.Option("--batch", min=1, help="Images per batch, on a CPU in whole groups; does not change the images."),
]
ShardTimeout = Annotated[
    float | None,
    typer.Option(
        "--shard-timeout",
        min=0.001,
        metavar="SECONDS",
        help="Stop when a shard takes longer; unless given, an hour on a GPU, no limit on a CPU.",
    ),
]
EngineName = Annotated[
    Engine,
    typer.Option("--engine", help="What makes the shards: this process (local), or Ray on many GPUs or machines."),
]
Gpus = Annotated[
    int | None,
    typer.Option("--gpus", min=1, help="Ray workers, a GPU each; unless given, one per core of this machine."),
]
Address = Annotated[
    str | None,
    typer.Option(
        "--address",
        metavar="ADDRESS",
        help="The Ray cluster: auto, HOST:PORT or ray://HOST:PORT; unless given, one on this machine.",
    ),
]
ThreadsPerWorker = Annotated[
    int | None, typer.Option("--threads-per-worker", min=1, help="CPUs and threads of each Ray worker; 1 unless given.")
]
Json = Annotated[bool, typer.Option("--json", help="Print one JSON document as the last line.")]


def group(name: str, about: str) -> typer.Typer:
    """A group of verbs, such as `sgbench models`."""
    return typer.Typer(name=name, help=about, no_args_is_help=True, rich_markup_mode=None)


def emit(document: Mapping[str, Any], as_json: bool, *lines: str) -> None:
    """Print what a command found: one JSON document as the last line, or lines of text."""
    print(json.dumps(document) if as_json else "\n".join(lines), flush=True)


def emit_file(path: Path, as_json: bool) -> None:
    """Print where a file is and its digest."""
    digest = sha256_of(path)
    emit({"path": str(path), "sha256": digest}, as_json, f"{path}: sha256 {digest}")


def write_output(path: Path, text: str) -> None:
    """Write what --output asks for. Raises UserError where the file cannot be written."""
    try:
        write_atomic(path, text.encode())
    except OSError as error:
        fix = "choose another file with --output, or fix its permissions"
        raise refusal(error, "the file cannot be written there", where=path, fix=fix) from error


def split_names(text: str) -> list[str]:
    """Names out of a list with commas."""
    return [name.strip() for name in text.split(",") if name.strip()]


def entry_named(what: str, name: str, table: Mapping[str, Entry], where: str, fix: str = "") -> Entry:
    """The entry of a table. Raises UserError, with the nearest name as a suggestion, where there is none."""
    if name not in table:
        raise unknown(what, name, table, where, fix)
    return table[name]


def fetch_to(target: Path, source: str, sha256: str | None = None) -> None:
    """Fetch what `source` names, an address or a file on the hub, and put it at `target`."""
    path = fetch(source.removeprefix(HUB), target.parent, sha256, make_progress())
    if path != target:
        path.replace(target)


@contextlib.contextmanager
def interruptible(suite: Suite, results: Path, as_json: bool) -> Iterator[None]:
    """Around work on a suite's results: if a signal ends it, say how many images and scores are there by then."""
    try:
        yield
    except Interruption as stop:
        cells, store = expand(suite), Store(results, suite.suite)
        images, wanted = sum(store.noted_images(cell, suite.samples) for cell in cells), len(cells) * suite.samples
        scored = sum(str(suite.samples) in (store.read_record(cell, "scores") or {}) for cell in cells)
        stop.kept = f"{images} of {wanted} images are there, {scored} of {len(cells)} cells have scores; "
        if as_json:
            there = {"images_kept": images, "images": wanted, "cells_scored": scored, "cells": len(cells)}
            print(json.dumps({"suite": suite.suite, "stopped": str(stop), **there}), flush=True)
        raise


def end_with(failed: Sequence[Failure]) -> None:
    """End a command with status 1 where cells failed, after one sentence for each of the first."""
    for line in sentences(failed):
        print(f"sgbench: {line}", file=sys.stderr, flush=True)
    if failed:
        raise typer.Exit(1)
