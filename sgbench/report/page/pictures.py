"""Where the page's pictures are: inside it while they are few and small, else in files beside it."""

from __future__ import annotations

import base64
from collections.abc import Sequence
from typing import NamedTuple

from sgbench.report.page.content import Picture

EMBEDDED_BYTES = 1_400_000
# A picture of images of a few pixels is shown larger than it is, and its pixels are the message.
PIXELATED_WIDTH = 700


class Placed(NamedTuple):
    """Address of each picture, by its file, and the pictures that must be written beside the page."""

    sources: dict[str, str]
    external: list[Picture]


def place(groups: Sequence[Sequence[Picture]]) -> Placed:
    """Addresses of all pictures; a group of more than 1.4 MB as data URIs stays outside of the page."""
    sources: dict[str, str] = {}
    external: list[Picture] = []
    for group in groups:
        inside = sum(len(picture.data) for picture in group) * 4 / 3 < EMBEDDED_BYTES
        sources |= {picture.file: _data_uri(picture) if inside else picture.file for picture in group}
        external += [] if inside else group
    return Placed(sources, external)


def _data_uri(picture: Picture) -> str:
    return f"data:{picture.media};base64,{base64.b64encode(picture.data).decode()}"
