"""The same seeds and labels side by side: best cells, and unguided ones by gamma (figure 4 of arXiv 2601.01608)."""

import io
import math
from collections.abc import Sequence
from typing import NamedTuple

import pandas as pd
from PIL import Image, ImageDraw, ImageFont

from sgbench.cells.cell import Cell
from sgbench.cells.identity import cell_id
from sgbench.guidance import RULES
from sgbench.metrics.catalogue import METRICS
from sgbench.report.figures.grids import unguided_by_gamma
from sgbench.report.page.content import Picture
from sgbench.report.pictures.gallery import COLUMNS, conditions_of, encode, first_row, picture_of
from sgbench.report.select_rows import (
    best_row,
    by_rule,
    constant_gamma,
    file_names,
    quality_metric,
    rated,
    settings_text,
    value_text,
)
from sgbench.results.store import Store

# Widths between which images are enlarged or reduced, by integer factors.
LEAST, MOST = 96, 128


class Line(NamedTuple):
    """One line of a strip: what it says above its images, and the first images of a cell side by side."""

    label: str
    images: Image.Image


def strips(rows: pd.DataFrame, cells: Sequence[Cell], store: Store) -> list[Picture]:
    """For each model: the best cell of each rule, the dense unguided one first; and unguided cells by gamma.

    A cell whose picture is missing or damaged is named in the caption. Strips of one line are left out.
    """
    by_id = {cell_id(cell): cell for cell in cells}
    metric = METRICS[quality_metric(rows)].title if "quality_metric" in rows else ""
    found = []
    for model, name in file_names(rows["model"].tolist()).items():
        best, sparse = best_cells(rows, model), unguided_by_gamma(rows, model)
        about = {
            "rules": (best, f"{model}, the best cell of each rule by {metric}"),
            "gammas": (sparse, f"{model} without guidance, by the share of tokens that skip work"),
        }
        for kind, (chosen, what) in about.items():
            found += _strip(f"{kind}-{name}", what, chosen, by_id, store)
    return found


def best_cells(rows: pd.DataFrame, model: str) -> pd.DataFrame:
    """The row of best quality of each rule, of no guidance the dense one; none where rows have no quality."""
    if "quality" not in rows:
        return rows.iloc[:0]
    chosen = []
    for rule, own in by_rule(rated(rows), model).items():
        dense = own[constant_gamma(own) == 0]
        chosen.append(best_row(dense if rule == "none" and len(dense) else own))
    return pd.DataFrame(chosen)


def _strip(name: str, what: str, chosen: pd.DataFrame, by_id: dict[str, Cell], store: Store) -> list[Picture]:
    lines, lacking = [], []
    for _, row in chosen.iterrows():
        png = store.read_picture(by_id[str(row["cell"])], "gallery")
        images = None if png is None else first_row(png)
        label = f"{RULES[row['guidance']].title}, {settings_text(row)}"
        if images is None:
            lacking.append(label)
        else:
            lines.append(Line(f"{label}{_quality(row)}", images))
    if len(lines) < 2:
        return []
    drawn = draw(lines)
    buffer = io.BytesIO()
    drawn.save(buffer, "PNG", optimize=True)
    encoded = encode(buffer.getvalue(), lines[0].images.height)
    asked = conditions_of(by_id[str(chosen["cell"].iloc[0])], COLUMNS)
    caption = (
        f"{what}: the first {COLUMNS} images, the same seeds in the same columns, uncurated. "
        f"From left to right: {'; '.join(asked)}."
    )
    if lacking:
        caption += f" Without a picture: {'; '.join(lacking)}."
    alt = f"{what}. Lines from top to bottom: {'; '.join(line.label for line in lines)}"
    return [picture_of(name, caption, alt, encoded, drawn.size)]


def draw(lines: Sequence[Line]) -> Image.Image:
    """The lines under each other on white, grey if all are, each with its label above it."""
    tile = max(_shown(line.images.height) for line in lines)
    width, size = COLUMNS * tile, COLUMNS * tile // 40
    band = size * 2
    mode = "L" if all(line.images.mode == "L" for line in lines) else "RGB"
    sheet = Image.new(mode, (width, len(lines) * (tile + band)), "white")
    pen = ImageDraw.Draw(sheet)
    for number, line in enumerate(lines):
        top, margin = number * (tile + band), size // 4
        # Pillow's own font, smaller where the label would not fit into the width.
        wanted = ImageFont.load_default(size).getlength(line.label)
        font = ImageFont.load_default(min(size, size * (width - 2 * margin) / wanted))
        pen.text((margin, top + band * 0.6), line.label, "black", font, "lm")
        larger = line.images.height <= tile
        images = line.images.convert(mode)
        shown = images.resize((width, tile), Image.Resampling.NEAREST if larger else Image.Resampling.BOX)
        sheet.paste(shown, (0, top + band))
    return sheet


def _shown(side: int) -> int:
    """Size in a strip of an image of `side` pixels, enlarged or reduced by an integer factor."""
    return side * math.ceil(LEAST / side) if side < LEAST else side // math.ceil(side / MOST)


def _quality(row: pd.Series) -> str:
    """Quality with its error, to follow settings; empty without one."""
    if "quality" not in row or pd.isna(row["quality"]):
        return ""
    return f": {METRICS[row['quality_metric']].title} {value_text(row)}"
