"""`sgbench cite`: what to cite for a suite, as BibTeX."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from sgbench import api
from sgbench.base.atomic import refusal, write_atomic
from sgbench.base.errors import UserError
from sgbench.cli.options import Json, PresetName, emit

OneSuite = Annotated[
    Path | None, typer.Argument(metavar="[SUITE]", help="A suite file or name; without one, all that there is to cite.")
]
Output = Annotated[Path | None, typer.Option("--output", help="Write to this file.")]


def cite(suite: OneSuite = None, preset: PresetName = None, output: Output = None, as_json: Json = False) -> None:
    """BibTeX of the methods, models, data, metrics and software that a suite uses."""
    from sgbench.report.citations.citation import bibliography, citations
    from sgbench.suite.sweep import expand

    if suite is None and preset is not None:
        raise UserError("a preset is one of a suite", where="--preset", fix="name the suite file, too")
    loaded = None if suite is None else api.load_suite(suite, preset)
    cells = [] if loaded is None else expand(loaded)
    text = bibliography(loaded, cells)
    if output is not None:
        _write(output, text)
    name = None if loaded is None else loaded.suite
    file = None if output is None else str(output)
    works = citations(loaded, cells)
    told = text.removesuffix("\n") if output is None else f"{len(works)} works: {output}"
    emit({"suite": name, "works": works, "bibtex": text, "file": file}, as_json, told)


def _write(output: Path, text: str) -> None:
    try:
        write_atomic(output, text.encode())
    except OSError as error:
        fix = "choose another place with --output, or mend its permissions"
        raise refusal(error, "the file cannot be written there", where=output, fix=fix) from error
