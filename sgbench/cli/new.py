"""`sgbench new`: files to start from."""

import shlex
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from sgbench.cli.options import Json, emit
from sgbench.suite.templates import OBJECTS, write_templates


class Kind(StrEnum):
    """What there are templates for."""

    RULE = "rule"
    MODEL = "model"
    METRIC = "metric"
    SAMPLER = "sampler"
    EXTRACTOR = "extractor"


def new(
    kind: Annotated[Kind, typer.Argument(metavar="|".join(Kind), help="What it is.")],
    name: Annotated[str, typer.Argument(metavar="NAME", help="Name of the files, the suite and the thing.")],
    to: Annotated[Path, typer.Option("--to", metavar="FOLDER", help="The folder to write into.")] = Path(),
    as_json: Json = False,
) -> None:
    """Write a rule, model, metric, sampler or extractor of your own that works, with its test and a suite."""
    code, test, suite = write_templates(kind, name, to)
    reference = f"{code}:{OBJECTS[kind]}"
    commands = [["sgbench", "check", reference], ["sgbench", "bench", str(suite), "--limit", "40"]]
    lines = [f"{file} {what}" for file, what in ((code, "to edit"), (test, "for pytest"), (suite, "that uses it"))]
    lines += [f"try: {shlex.join(command)}" for command in commands]
    document = {"object": reference, "files": [str(file) for file in (code, test, suite)]}
    emit(document, as_json, *lines)
