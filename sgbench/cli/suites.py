"""`sgbench suites`: the suites that come with sgbench: list, copy."""

from __future__ import annotations

import shlex
from pathlib import Path
from typing import Annotated, Any

import typer

from sgbench import api
from sgbench.cli.options import Json, emit

suites = typer.Typer(help="The suites that come with sgbench: list, copy.", no_args_is_help=True, rich_markup_mode=None)


@suites.command("list")
def list_suites(as_json: Json = False) -> None:
    """Every suite in a line: its name, how many cells it has, its title."""
    from sgbench.suite.library import suite_names

    entries = [_entry(name) for name in suite_names()]
    lines = [f"{e['name']:31}  {e['cells']:3} cells  {e['title']}" for e in entries]
    told = "`sgbench bench NAME` runs one; `sgbench suites copy NAME` puts its file here, to edit."
    emit({"suites": entries}, as_json, *lines, told)


def _entry(name: str) -> dict[str, Any]:
    from sgbench.suite.library import file_of
    from sgbench.suite.sweep import expand

    file = file_of(name)
    suite = api.load_suite(file)
    about = {"title": suite.title, "cells": len(expand(suite)), "samples": suite.samples}
    return {"name": name, **about, "presets": list(suite.presets), "file": str(file)}


@suites.command()
def copy(
    name: Annotated[str, typer.Argument(metavar="NAME", help="A suite, as `sgbench suites list` names it.")],
    to: Annotated[Path, typer.Option("--to", metavar="FOLDER", help="The folder to write into.")] = Path(),
    as_json: Json = False,
) -> None:
    """Put the file of a suite into this folder, to edit."""
    from sgbench.suite.library import copy_suite

    file = copy_suite(name, to)
    command = shlex.join(["sgbench", "bench", f"{to}/{file.name}"])
    told = f"{file}: `{command}` runs it; give it a name of its own under `suite` to keep its results apart"
    emit({"name": name, "file": str(file)}, as_json, told)
