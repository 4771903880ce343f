"""Room on the disk, asked for before the first image is made. No torch."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from sgbench.base.atomic import free_bytes
from sgbench.base.errors import UserError
from sgbench.cells.cell import Cell
from sgbench.models import catalogue
from sgbench.models.components import NONE


def image_bytes(cell: Cell) -> int:
    """Bytes of one image on disk."""
    model = catalogue.entry(cell.model)
    if cell.autoencoder == NONE:
        # The stand-in for a decoded image: three channels of the latent's size.
        return 3 * model.architecture.input_size**2
    return model.image_channels * model.image_side**2


def require_room(folder: Path, missing: Iterable[tuple[Cell, int]]) -> None:
    """Raise UserError where a file system has less room than the missing images of the cells take.

    Quotas are not seen here; they are told of when a file meets them.
    """
    needed = sum(image_bytes(cell) * images for cell, images in missing if images)
    free = free_bytes(folder)
    if free is not None and needed > free:
        raise UserError(
            f"the missing images take {needed:,} bytes, and {free:,} are free",
            where=str(folder),
            fix="make room, choose another folder with --results, or draw fewer images with --limit",
        )
