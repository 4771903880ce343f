"""Matplotlib's markers as SVG paths, so that a rule has one shape in the figures and on the page."""

from __future__ import annotations

from functools import cache

from matplotlib.markers import MarkerStyle
from matplotlib.path import Path

LETTERS = {Path.MOVETO: "M", Path.LINETO: "L", Path.CURVE3: "Q", Path.CURVE4: "C", Path.CLOSEPOLY: "Z"}


@cache
def marker_path(marker: str) -> str:
    """The outline of a filled marker in a square from -1 to 1, y downwards, as Vega and SVG want it."""
    style = MarkerStyle(marker)
    outline = style.get_path().transformed(style.get_transform())
    parts = []
    for vertices, code in outline.iter_segments(simplify=False):
        letter = LETTERS[code]
        # Markers are one unit wide, and their y points upwards.
        turned = [f"{2 * v * (-1 if n % 2 else 1) + 0:.3g}" for n, v in enumerate(vertices)]
        parts.append(letter if letter == "Z" else letter + ",".join(turned))
    return "".join(parts)
