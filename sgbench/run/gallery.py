"""The first images of a cell as one picture."""

from __future__ import annotations

import io
import math

import numpy as np
from numpy.typing import NDArray
from PIL import Image

GALLERY_ROWS, GALLERY_COLUMNS = 2, 10


def gallery_png(images: NDArray[np.uint8]) -> bytes:
    """The first twenty images (n, H, W, C) in two rows, as PNG; fewer where there are fewer."""
    count, height, width, channels = images[: GALLERY_ROWS * GALLERY_COLUMNS].shape
    rows = math.ceil(count / GALLERY_COLUMNS)
    sheet = np.zeros((rows * height, GALLERY_COLUMNS * width, channels), dtype=np.uint8)
    for index, image in enumerate(images[:count]):
        row, column = divmod(index, GALLERY_COLUMNS)
        sheet[row * height : (row + 1) * height, column * width : (column + 1) * width] = image
    buffer = io.BytesIO()
    Image.fromarray(sheet.squeeze(-1) if channels == 1 else sheet).save(buffer, "PNG", optimize=True)
    return buffer.getvalue()
