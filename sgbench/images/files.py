"""Reading image files and npz archives of unknown origin; errors name the file and what is wrong with it."""

import io
import math
import os
import re
import zipfile
import zlib
from pathlib import Path
from typing import IO, Final

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from sgbench.base.bounded import read_bounded
from sgbench.base.errors import UserError, plain
from sgbench.files.digest import unreadable

Images = NDArray[np.uint8]
FORMATS: Final = ("PNG", "JPEG", "WEBP")
ANIMATED: Final = ("PNG", "WEBP")
# Of one image, and of the file that holds it.
MOST_PIXELS: Final = 1 << 26
MOST_BYTES: Final = 1 << 28
# The highest compression ratio of deflate.
DEFLATE_AT_BEST: Final = 1032
# Of an array that is read whole: labels, features, moments.
MOST_ARRAY_BYTES: Final = 1 << 32


def read_image(path: Path) -> Images:
    """One file as uint8 (H, W, C), C 1 for grey and 3 for RGB. Raises UserError naming it for anything else."""
    try:
        content = read_bounded(path, MOST_BYTES)
    except OSError as error:
        raise unreadable(path, error) from error
    try:
        # Other decoders run programs, or read formats that the name of the file does not promise.
        with Image.open(io.BytesIO(content), formats=FORMATS) as image:
            if image.width * image.height > MOST_PIXELS:
                raise ValueError(f"{image.width} x {image.height} pixels are more than {MOST_PIXELS:,}")
            if image.format in ANIMATED and getattr(image, "n_frames", 1) > 1:
                raise ValueError("it holds several images")
            mode = _exact_mode(image)
            image.load()
            pixels = np.asarray(image)
    except Exception as error:  # A damaged file can end the decoder in any way.
        raise UserError(f"the image is damaged ({plain(error)})", where=str(path), fix="make it again") from error
    if mode == "L":
        return pixels[..., None]
    if mode == "RGB":
        return pixels
    what = "an alpha channel" if mode in ("RGBA", "LA", "PA") else f"colours of kind {mode}"
    problem = f"the image has {what}, and only 8-bit grey and RGB are scored"
    raise UserError(problem, where=str(path), fix="convert it to one of these yourself")


def _exact_mode(image: Image.Image) -> str:
    """The mode of an opened image, or what the file has beyond it (16 bits, a transparent colour)."""
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
    """Shape, type and whether columns come first, of an array in an npz, unread; None if there is no such array."""
    try:
        with zipfile.ZipFile(path) as archive:
            if f"{name}.npy" not in archive.namelist():
                return None
            with archive.open(f"{name}.npy") as stream:
                return header_of(stream)
    except (OSError, ValueError, EOFError, zipfile.BadZipFile, zlib.error) as error:
        raise damaged(path, error) from error


def header_of(stream: IO[bytes]) -> tuple[tuple[int, ...], np.dtype[np.generic], bool]:
    """The same of the array whose npy header is next in a stream. Raises ValueError where there is none."""
    # Later versions, made for thousands of column names, may claim headers of gigabytes.
    if np.lib.format.read_magic(stream) != (1, 0):
        raise ValueError("its npy header is not of version 1.0")
    shape, by_columns, kind = np.lib.format.read_array_header_1_0(stream)
    return shape, kind, by_columns


def read_array(path: Path, name: str) -> NDArray[np.generic]:
    """An array of an npz. Raises UserError for a damaged file and for pickled objects, which are never read."""
    try:
        with zipfile.ZipFile(path) as archive:
            member = archive.getinfo(f"{name}.npy")
            with archive.open(member) as stream:
                shape, kind, _ = header_of(stream)
            size = math.prod(shape) * kind.itemsize
            # The size that a header claims is allocated before anything is read.
            if size > min(MOST_ARRAY_BYTES, member.file_size, DEFLATE_AT_BEST * (member.compress_size + 1)):
                raise ValueError(f"its array {name} claims {size:,} bytes")
            with archive.open(member) as stream:
                return np.asarray(np.lib.format.read_array(stream, allow_pickle=False))
    except (OSError, ValueError, KeyError, EOFError, MemoryError, zipfile.BadZipFile, zlib.error) as error:
        raise damaged(path, error) from error


def damaged(path: Path, error: Exception) -> UserError:
    """The error for an npz that cannot be read."""
    return UserError(f"the npz is damaged ({plain(error)})", where=str(path), fix="make or download it again")


def natural(text: str) -> list[tuple[int, str]]:
    """A sort key for names in which 2 comes before 10."""
    return [(int(part), "") if part.isdigit() else (-1, part) for part in re.split(r"(\d+)", text)]
