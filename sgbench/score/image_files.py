"""Image files and npz archives, read as data and named when they are not what they should be."""

from __future__ import annotations

import os
import re
import zipfile
import zlib
from pathlib import Path
from typing import IO

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from sgbench.errors import UserError

Images = NDArray[np.uint8]


def read_image(path: Path) -> Images:
    """One file as uint8 (H, W, C), C 1 for grey and 3 for RGB. Raises UserError naming it for anything else."""
    try:
        with Image.open(path) as image:
            mode = _exact_mode(image)
            image.load()
            pixels = np.asarray(image)
    except Exception as error:  # A damaged file can end the decoder in any way.
        reason = (str(error).splitlines() or [type(error).__name__])[0]
        raise UserError(f"the image is damaged ({reason})", where=str(path), fix="make it again") from error
    if mode == "L":
        return pixels[..., None]
    if mode == "RGB":
        return pixels
    what = "an alpha channel" if mode in ("RGBA", "LA", "PA") else f"colours of kind {mode}"
    raise UserError(
        f"the image has {what}, and 8-bit grey or RGB is wanted",
        where=str(path),
        fix="convert it, so that what is scored is what you decided on",
    )


def _exact_mode(image: Image.Image) -> str:
    """The mode of an opened image; where the file has more than that (16 bits, a transparent colour), what it has."""
    tiles = getattr(image, "tile", [])
    raw = [part for tile in tiles for part in (tile[3] if isinstance(tile[3], tuple) else (tile[3],))]
    if any(isinstance(part, str) and part.endswith(("16B", "16L", "16N")) for part in raw):
        return f"{image.mode} with 16 bits"
    return "PA" if "transparency" in image.info else image.mode


def files_below(folder: Path) -> list[Path]:
    """Every file below a folder, links followed (never into a folder twice), hidden names left out."""
    found, seen = [], set()
    for parent, folders, files in os.walk(folder, followlinks=True):
        real = os.path.realpath(parent)
        if real in seen:
            folders.clear()
            continue
        seen.add(real)
        folders[:] = [name for name in folders if not name.startswith(".")]
        found += [Path(parent) / name for name in files if not name.startswith(".")]
    return found


def read_header(path: Path, name: str) -> tuple[tuple[int, ...], np.dtype[np.generic], bool] | None:
    """Shape, type and order (by columns?) of an array in an npz, without reading it; None where it has none such."""
    try:
        with zipfile.ZipFile(path) as archive:
            if f"{name}.npy" not in archive.namelist():
                return None
            with archive.open(f"{name}.npy") as stream:
                return header_of(stream)
    except (OSError, ValueError, EOFError, zipfile.BadZipFile, zlib.error) as error:
        raise damaged(path, error) from error


def header_of(stream: IO[bytes]) -> tuple[tuple[int, ...], np.dtype[np.generic], bool]:
    """Shape, type and order of an array whose npy header comes next in a stream. Raises ValueError for none."""
    version = np.lib.format.read_magic(stream)
    read = np.lib.format.read_array_header_1_0 if version == (1, 0) else np.lib.format.read_array_header_2_0
    shape, by_columns, kind = read(stream)
    return shape, kind, by_columns


def read_array(path: Path, name: str) -> NDArray[np.generic]:
    """An array of an npz. Raises UserError for a damaged file and for pickled objects, which are never read."""
    try:
        with np.load(path, allow_pickle=False) as stored:
            return np.asarray(stored[name])
    except (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile, zlib.error) as error:
        raise damaged(path, error) from error


def damaged(path: Path, error: Exception) -> UserError:
    """What to say of an npz that cannot be read."""
    reason = (str(error).splitlines() or [type(error).__name__])[0]
    return UserError(f"the npz is damaged ({reason})", where=str(path), fix="make or download it again")


def natural(text: str) -> list[tuple[int, str]]:
    """A key to sort names by, in which 2 comes before 10."""
    return [(int(part), "") if part.isdigit() else (-1, part) for part in re.split(r"(\d+)", text)]
