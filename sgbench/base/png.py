"""Whether a PNG is whole, by the checksums that it carries. No Pillow, no decoding."""

from __future__ import annotations

import struct
import zlib

SIGNATURE = b"\x89PNG\r\n\x1a\n"
FRAME = 12
"""Bytes of a chunk besides its data: length, type, checksum."""


def is_whole(png: bytes) -> bool:
    """Whether every chunk has the checksum written behind it, and the last one ends the file."""
    if not png.startswith(SIGNATURE):
        return False
    place, kind = len(SIGNATURE), b""
    while place + FRAME <= len(png):
        (length,) = struct.unpack_from(">I", png, place)
        end = place + FRAME + length
        if end > len(png):
            return False
        kind = png[place + 4 : place + 8]
        (checksum,) = struct.unpack_from(">I", png, end - 4)
        if zlib.crc32(memoryview(png)[place + 4 : end - 4]) != checksum:
            return False
        place = end
    return kind == b"IEND" and place == len(png)
