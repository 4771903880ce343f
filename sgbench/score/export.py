"""A cell's images as the npz that ADM's evaluator reads: `arr_0` uint8 (N, H, W, 3), `arr_1` the labels asked for."""

from __future__ import annotations

import os
import uuid
import zipfile
from pathlib import Path
from typing import IO, NamedTuple

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
    seen = look(images)
    grey = seen.channels == 1
    temporary = path.with_name(f".{path.name}.{uuid.uuid4().hex[:8]}.tmp")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        try:
            with temporary.open("wb") as stream:
                _write(images, (images.count, seen.side[1], seen.side[0], 3), stream)
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


def _write(images: CellImages, shape: tuple[int, ...], stream: IO[bytes]) -> None:
    """The archive, a shard at a time: all images together may be larger than the memory."""
    header = {"descr": "|u1", "fortran_order": False, "shape": shape}
    # Uncompressed, as ADM's evaluator streams it.
    with zipfile.ZipFile(stream, "w", zipfile.ZIP_STORED) as archive:
        with archive.open("arr_0.npy", "w", force_zip64=True) as member:
            np.lib.format.write_array_header_1_0(member, header)
            for part in images.parts():
                member.write(np.broadcast_to(part, (*part.shape[:3], 3)).tobytes())
        with archive.open("arr_1.npy", "w") as member:
            np.lib.format.write_array(member, images.labels, allow_pickle=False)
