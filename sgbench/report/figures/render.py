"""Figures as files: PNG for slides and pull requests, SVG for pages, PDF for papers."""

from __future__ import annotations

import io
from typing import Any, Literal

import matplotlib as mpl
from matplotlib.figure import Figure

from sgbench.report.style import LOOK

Kind = Literal["png", "svg", "pdf"]
FORMATS: tuple[Kind, ...] = ("png", "svg", "pdf")
# Dots per inch: of a PNG, and of what is an image inside of the others.
RESOLUTION: dict[Kind, int] = {"png": 160, "svg": 160, "pdf": 300}
# Dates and versions would make other bytes of the same rows.
UNSAID: dict[str, dict[str, Any]] = {
    "png": {"Software": None},
    "svg": {"Date": None, "Creator": None},
    "pdf": {"CreationDate": None, "Creator": None, "Producer": None},
}


def render(figure: Figure, kind: Kind) -> bytes:
    """The figure's bytes, the same for the same rows; fonts are outlines in SVG and embedded TrueType in PDF."""
    buffer = io.BytesIO()
    with mpl.rc_context(LOOK):
        if figure.get_layout_engine() is not None:
            # The layout is found once, not for each file anew.
            figure.draw_without_rendering()
            figure.set_layout_engine("none")
        figure.savefig(buffer, format=kind, dpi=RESOLUTION[kind], metadata=UNSAID[kind])
    return buffer.getvalue()
