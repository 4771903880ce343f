"""A cell's images as the npz that ADM's evaluator reads: `arr_0` uint8 (N, H, W, 3), `arr_1` the labels asked for."""

from __future__ import annotations

import os
import uuid
from pathlib import Path
from typing import NamedTuple

import numpy as np

from sgbench.errors import UserError
from sgbench.score.images import CellImages, look


class Exported(NamedTuple):
    """The file, its images, and whether grey ones were repeated to RGB."""

    file: str
    images: int
    repeated: bool


def export_adm(images: CellImages, path: Path) -> Exported:
    """Write the npz, whole or not at all. Raises UserError when images are missing or the disk refuses."""
    grey = look(images).channels == 1
    arrays = np.concatenate(list(images.parts()))
    temporary = path.with_name(f".{path.name}.{uuid.uuid4().hex[:8]}.tmp")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        try:
            with temporary.open("wb") as stream:
                # Uncompressed, as ADM's evaluator streams it.
                np.savez(stream, np.repeat(arrays, 3, axis=3) if grey else arrays, images.labels)
                stream.flush()
                os.fsync(stream.fileno())
            temporary.replace(path)
        finally:
            temporary.unlink(missing_ok=True)
    except OSError as error:
        raise UserError(
            f"the images could not be written ({error.strerror})",
            where=str(path),
            fix="make room or choose another place",
        ) from error
    return Exported(str(path), images.count, grey)
