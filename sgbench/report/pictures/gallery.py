"""Pictures of cells: the first images of each, in order and uncurated, and their nearest training images.

`run` keeps a cell's first twenty images as one PNG, ten to a row; `sgbench nearest` keeps another. In a report they are
WebP if that is smaller and fast enough, else the PNG.
"""

import io
from collections.abc import Callable, Sequence
from typing import NamedTuple

import pandas as pd
from PIL import Image

from sgbench.cells.cell import Cell, LabelPolicy
from sgbench.cells.identity import cell_id
from sgbench.cells.prompts import load_prompts
from sgbench.cells.randomness import labels
from sgbench.guidance import RULES
from sgbench.models import catalogue
from sgbench.report.missing import some
from sgbench.report.page.content import Picture
from sgbench.report.tables.columns import settings_texts
from sgbench.results.store import Store
from sgbench.suite.schema import Suite
from sgbench.zoo.data import CLASSES

COLUMNS, PICTURES = 10, 20
"""Images in a row of gallery.png and in all of it, as `run` lays them out."""
SMALL = 64
"""Images of up to so many pixels a side are encoded without loss."""
LIMIT_BYTES = 1_500_000
"""Total of PNGs of small images that are encoded again, which takes about five seconds."""
LOSSY_FACTOR = 40
"""A byte of a larger image is encoded so many times faster, with loss."""
MOST_BYTES = 256_000_000
"""Total of the pictures of cells in a report."""
FULL = f"the other pictures already take {MOST_BYTES // 10**6} MB"
# Quality of a lossless WebP is its effort: more gains nothing and takes ten times as long.
EFFORT, QUALITY = 75, 80
WEBP, PNG = "image/webp", "image/png"
# Where a picture of `sgbench nearest` says what it shows.
SAYS = "Description"


class Gallery(NamedTuple):
    """Pictures by cell id, and what is left out and why, in sentences."""

    pictures: dict[str, Picture]
    left_out: list[str]


class Sheet(NamedTuple):
    """An intact PNG: its bytes, its size in pixels, and its description."""

    png: bytes
    width: int
    height: int
    says: str


def pictures_of_cells(
    rows: pd.DataFrame, cells: Sequence[Cell], store: Store, limit_bytes: int = LIMIT_BYTES
) -> Gallery:
    """The first images of every cell in `rows`; PNGs of more than `limit_bytes` together stay as they are."""
    sheets, absent, beyond = _sheets(rows, cells, lambda cell: store.read_picture(cell, "gallery"))
    small = all(sheet.width // COLUMNS <= SMALL for sheet in sheets.values())
    light = sum(len(sheet.png) for sheet in sheets.values()) / (1 if small else LOSSY_FACTOR) <= limit_bytes
    titles, pictures = _titles(rows), {}
    for name, sheet in sheets.items():
        encoded = encode(sheet.png, sheet.width // COLUMNS) if light else (sheet.png, PNG)
        alt = f"The first images of {titles[name]}, uncurated, {COLUMNS} to a row"
        pictures[name] = picture_of(name, titles[name], alt, encoded, (sheet.width, sheet.height))
    left_out = _left_out(absent, len(rows), "no complete gallery.png", "`sgbench run` makes it")
    return Gallery(pictures, left_out + _left_out(beyond, len(rows), "no picture here", FULL))


def nearest_of_cells(rows: pd.DataFrame, cells: Sequence[Cell], store: Store) -> Gallery:
    """What `sgbench nearest` kept, for cells that it was run on."""
    sheets, _, beyond = _sheets(rows, cells, lambda cell: store.read_picture(cell, "nearest"))
    sides = {cell: catalogue.entry(model).image_side for cell, model in zip(rows["cell"], rows["model"], strict=True)}
    titles, pictures = _titles(rows), {}
    for name, sheet in sheets.items():
        caption = f"{titles[name]}. {sheet.says or 'Each generated image, followed by the real images nearest to it.'}"
        alt = f"Nearest real images of {titles[name]}: each generated image, followed by the real images nearest to it"
        encoded = encode(sheet.png, sides[name])
        pictures[name] = picture_of(f"{name}-nearest", caption, alt, encoded, (sheet.width, sheet.height))
    return Gallery(pictures, _left_out(beyond, len(rows), "no nearest images here", FULL))


def picture_of(name: str, caption: str, alt: str, encoded: tuple[bytes, str], size: tuple[int, int]) -> Picture:
    """A picture of the report's gallery from its bytes and their media type."""
    data, media = encoded
    return Picture(f"gallery/{name}.{media.removeprefix('image/')}", caption, alt, data, media, *size)


def prompts_of(suite: Suite) -> list[str]:
    """The prompts of the images in a cell's picture; empty for class-conditional models."""
    return _prompts(suite.prompts, suite.seed, PICTURES, suite.labels) if suite.prompts else []


def conditions_of(cell: Cell, count: int) -> list[str]:
    """Prompts, class names or class numbers of the first `count` images of a cell."""
    if cell.prompts:
        return _prompts(cell.prompts, cell.seed, count, cell.labels)
    model = catalogue.entry(cell.model)
    named = model.main.kind == "packaged" and model.classes == len(CLASSES)
    numbers = labels(cell.seed, range(count), model.classes, cell.labels)
    return [CLASSES[number] if named else f"class {number}" for number in numbers]


def _prompts(source: str, seed: int, count: int, policy: LabelPolicy) -> list[str]:
    prompts = load_prompts(source).prompts
    return [prompts[number].text for number in labels(seed, range(count), len(prompts), policy)]


def read_sheet(png: bytes) -> Sheet | None:
    """A PNG with its size and description; None if it is damaged."""
    image = _decoded(png)
    return None if image is None else Sheet(png, *image.size, str(image.info.get(SAYS, "")))


def first_row(png: bytes) -> Image.Image | None:
    """The first row of a gallery.png; None if the file is damaged."""
    image = _decoded(png)
    return None if image is None else image.crop((0, 0, image.width, image.width // COLUMNS))


def encode(png: bytes, side: int) -> tuple[bytes, str]:
    """The smaller of an intact PNG and its WebP, and the media type; `side` is the size of its images in pixels.

    The same bytes come from the same PNG with the same version of Pillow.
    """
    buffer = io.BytesIO()
    with Image.open(io.BytesIO(png), formats=["PNG"]) as image:
        image.save(buffer, "WEBP", method=6, lossless=side <= SMALL, quality=EFFORT if side <= SMALL else QUALITY)
    webp = buffer.getvalue()
    return (webp, WEBP) if len(webp) < len(png) else (png, PNG)


def _sheets(
    rows: pd.DataFrame, cells: Sequence[Cell], read: Callable[[Cell], bytes | None]
) -> tuple[dict[str, Sheet], list[str], list[str]]:
    """Sheets by cell id in the order of the rows; cells without an intact one; cells beyond the limit on bytes."""
    by_id = {cell_id(cell): cell for cell in cells}
    sheets: dict[str, Sheet] = {}
    absent: list[str] = []
    beyond: list[str] = []
    room = MOST_BYTES
    for name in map(str, rows["cell"]):
        png = read(by_id[name])
        room -= len(png or b"")
        sheet = read_sheet(png) if png is not None and room > 0 else None
        if sheet is not None:
            sheets[name] = sheet
        else:
            (absent if png is None or room > 0 else beyond).append(name)
    return sheets, absent, beyond


def _decoded(png: bytes) -> Image.Image | None:
    try:
        image = Image.open(io.BytesIO(png), formats=["PNG"])
        image.load()
    except Exception:  # A damaged file can end the decoder in any way.
        return None
    return image


def _titles(rows: pd.DataFrame) -> dict[str, str]:
    """By cell id: model, rule and settings."""
    parts = zip(rows["cell"], rows["model"], rows["guidance"], settings_texts(rows), strict=True)
    return {str(cell): f"{model}: {RULES[rule].title}, {text}" for cell, model, rule, text in parts}


def _left_out(names: Sequence[str], total: int, what: str, remedy: str) -> list[str]:
    """A sentence on cells that are left out."""
    cells = f"{len(names)} of {total} cells {'has' if len(names) == 1 else 'have'}"
    return [f"{cells} {what} ({some(names, ', ')}); {remedy}."] if names else []
