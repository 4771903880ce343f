"""`sgbench nearest`: the training images nearest to a cell's first images, to look at."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from sgbench import api
from sgbench.cli.console import make_progress
from sgbench.cli.options import Device, Json, Results, emit


def nearest(
    cell: Annotated[str, typer.Argument(metavar="CELL", help="A cell's id or folder.")],
    images: Annotated[int, typer.Option("--images", min=1, max=100, help="Generated images, the first ones.")] = 10,
    neighbours: Annotated[int, typer.Option("--neighbours", min=1, max=20, help="Real images beside each.")] = 5,
    data: Annotated[
        Path | None,
        typer.Option("--data", help="Folder of the training images (data), or what the reference was built of."),
    ] = None,
    results: Results = api.RESULTS,
    device: Device = "auto",
    as_json: Json = False,
) -> None:
    """Find the training images nearest to a cell's images; the next report shows them."""
    from sgbench.results.find_cell import find_cell
    from sgbench.run.device import resolve_device
    from sgbench.score.nearest_gallery import find_nearest

    found, store = find_cell(cell, results)
    done = find_nearest(found, store, images, neighbours, data, resolve_device(device), make_progress())
    if not as_json:
        for number, line in enumerate(done.distances):
            print(f"image {number:3d}  nearest at " + "  ".join(f"{distance:.3f}" for distance in line))
    emit(done._asdict(), as_json, f"{done.describe()}\n{done.file}")
