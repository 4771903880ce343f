"""One look for every figure: a rule keeps its colour, marker and line wherever it is drawn."""

from __future__ import annotations

from typing import Any

from sgbench.guidance import RULES
from sgbench.guidance.branches import Style


def style_of(rule: str) -> Style:
    """How a rule is drawn, by its name."""
    return RULES[rule].style


# Inches. A figure this wide, set in a column of a paper, keeps its text at about 6 points.
WIDTH = 5.4

# What matplotlib is told before it draws or saves anything.
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
