"""Whether two contents of a report's file say and show the same, whatever processors they were made on.

Processors round the last digits of logarithms, powers and sums each in their own way, and pictures and texts follow. So
pictures are compared by pixels and numbers within a tolerance. All else has to be equal: words, whole numbers, digests,
and how many there are of everything.
"""

from __future__ import annotations

import base64
import io
import re
import zlib
from decimal import Decimal
from pathlib import Path

import numpy as np
from PIL import Image

# Of 255, and of all pixels. Processors move one pixel in 5,000, by one level; a mark moved by a pixel moves hundreds.
LEVELS, SHARE = 8, 0.01
# Processors move the sixth decimal of a coordinate by one, and what is written in full by less, as what should be zero.
RELATIVE, ZERO = Decimal("1e-6"), Decimal("1e-12")
# Of all numbers of a file, those that a little less or more rounds to the neighbour in the last digit that is written,
# where that is less than a hundredth of the number, or a decimal that no reader sees.
ROUNDED, STEP, UNSEEN = 0.001, Decimal("0.01"), -5
NUMBER = re.compile(r"-?\d*\.?\d+(?:e[-+]\d+)?")
EMBEDDED = re.compile(r"data:image/\w+;base64,([\w+/=\s]+)")
# matplotlib names paths and frames by a digest of their coordinates in full.
NAME = re.compile(r'(?<=[#"])(?:figure-\d+-)?(?:[a-z]|C\w+_\w+_)[0-9a-f]{10}(?=[)"])')
STREAM = re.compile(rb"(?<=>>\nstream\n).+?(?=\nendstream)", re.DOTALL)
# How long a PDF's objects are and where they begin.
PLACES = re.compile(rb"(?<=/Length )\d+\b(?! \d)|(?<=obj\n)\d+(?=\nendobj)|\d{10}(?= \d{5} n)|(?<=startxref\n)\d+")


def without_library(page: bytes) -> bytes:
    """A page without the library and without what depends on its version, so that two pages can be compared."""
    kept = re.sub(rb"<script data-library=.*?</script>", b"", page, flags=re.DOTALL)
    return re.sub(rb"script-src [^;]*;", b"", kept, count=1)


def difference(name: str, old: bytes, new: bytes) -> str:
    """The first thing in which two contents of a file differ, or nothing."""
    if old == new:
        return ""
    kind = Path(name).suffix
    if kind in (".png", ".webp"):
        return _of_pictures(old, new)
    if kind == ".pdf":
        return _of_texts(_readable(old), _readable(new))
    # References hold no number that was computed.
    return "references" if kind == ".bib" else _of_texts(old.decode(), new.decode())


def _of_pictures(old: bytes, new: bytes) -> str:
    before, after = _pixels(old), _pixels(new)
    if before.shape != after.shape:
        return f"a picture's size: {before.shape}, {after.shape}"
    levels = np.abs(before - after).max(axis=2)
    if levels.max() <= LEVELS and (levels > 0).mean() <= SHARE:
        return ""
    return f"{(levels > 0).sum()} pixels of a picture, by up to {levels.max()} levels"


def _pixels(picture: bytes) -> np.ndarray:
    with Image.open(io.BytesIO(picture)) as image:
        return np.asarray(image.convert("RGBA"), dtype=np.int16)


def _readable(pdf: bytes) -> str:
    """Streams inflated, and blanks alike, since lines are as long as the numbers in them."""
    inflated = STREAM.sub(lambda found: zlib.decompress(found.group()), pdf)
    return " ".join(PLACES.sub(b"", inflated).decode("latin-1").split())


def _of_texts(old: str, new: str) -> str:
    before, after = EMBEDDED.findall(old), EMBEDDED.findall(new)
    if len(before) != len(after):
        return f"how many pictures there are: {len(before)}, {len(after)}"
    for one, other in zip(before, after, strict=True):
        if one != other and (found := _of_pictures(base64.b64decode(one), base64.b64decode(other))):
            return found
    old, new = (_renamed(EMBEDDED.sub("", text)) for text in (old, new))
    return _of_words(NUMBER.split(old), NUMBER.split(new)) or _of_numbers(NUMBER.findall(old), NUMBER.findall(new))


def _renamed(text: str) -> str:
    """Names that are digests become numbers, in the order in which they appear."""
    numbers: dict[str, int] = {}
    return NAME.sub(lambda found: f"name-{numbers.setdefault(found.group(), len(numbers))}", text)


def _of_words(old: list[str], new: list[str]) -> str:
    for one, other in zip(old, new, strict=False):
        if one != other:
            return f"words: {one[-60:]!r}, {other[-60:]!r}"
    return "" if len(old) == len(new) else "how much there is"


def _of_numbers(old: list[str], new: list[str]) -> str:
    moved = [pair for pair in zip(old, new, strict=True) if not _near(*pair)]
    few = len(moved) <= max(1, ROUNDED * len(old))
    changed = [pair for pair in moved if not (few and _near(*pair, units=1))]
    return f"a number: {changed[0][0]}, {changed[0][1]}" if changed else ""


def _near(one: str, other: str, units: int = 0) -> bool:
    """Whether numbers are the same but for rounding, or for so many units of the last digit. Whole ones are equal."""
    if one == other:
        return True
    before, after = Decimal(one), Decimal(other)
    last = min(int(before.as_tuple().exponent), int(after.as_tuple().exponent))
    largest, step = max(abs(before), abs(after)), Decimal(units).scaleb(last)
    if last > UNSEEN and step > STEP * largest:
        step = Decimal(0)
    slack = max(RELATIVE * largest, ZERO, step)
    return abs(before - after) <= (slack if last < 0 else 0)
