"""One look for every figure, and figures as files: PNG for slides, SVG for pages, PDF for papers."""

from __future__ import annotations

import io
from typing import Any, Literal

import matplotlib as mpl
from matplotlib.figure import Figure

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
# Inches. A figure this wide, set in a column of a paper, keeps its text at about 6 points.
WIDTH = 5.4
# The settings of matplotlib for drawing and saving.
LOOK: dict[Any, Any] = {
    "font.family": "DejaVu Sans",
    "font.size": 9.5,
    "axes.titlesize": 10,
    "axes.titleweight": "bold",
    "axes.titlelocation": "left",
    "axes.labelsize": 10,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "axes.axisbelow": True,
    "grid.alpha": 0.25,
    "lines.linewidth": 1.5,
    "lines.markersize": 5.5,
    "legend.fontsize": 8.5,
    "legend.frameon": False,
    "savefig.facecolor": "white",
    # Ids of an SVG's parts come from what they draw, not from chance.
    "svg.hashsalt": "sgbench",
    "svg.fonttype": "path",
    # TrueType: the fonts are inside the file and its text can be searched.
    "pdf.fonttype": 42,
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
