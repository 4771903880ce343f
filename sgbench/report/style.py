"""One look for every figure: a rule keeps its colour, marker and line wherever it is drawn."""

from __future__ import annotations

from typing import Any, Literal, NamedTuple

Line = Literal["-", "--", ":", "-."]


class Style(NamedTuple):
    """Colour (Okabe and Ito's palette, safe for colour-blind readers), marker and kind of line of a rule."""

    colour: str
    marker: str
    line: Line = "-"


STYLES = {
    "none": Style("#000000", "o"),
    "cfg": Style("#D55E00", "s"),
    "icg": Style("#E69F00", "D"),
    "ag": Style("#CC79A7", "v"),
    "sg": Style("#0072B2", "^"),
    "cfg+sg": Style("#009E73", "P"),
    "ag+sg": Style("#56B4E9", "X"),
    # Beyond seven colours kin share one; the marker and the kind of line tell them apart.
    "pdg": Style("#009E73", "<", "--"),
    "apg": Style("#D55E00", "p", "--"),
    "cfg++": Style("#D55E00", "*", ":"),
    "cfg-zero": Style("#E69F00", "h", "--"),
    "tcfg": Style("#E69F00", ">", ":"),
    "pag": Style("#CC79A7", "d", "--"),
    "seg": Style("#CC79A7", "H", ":"),
    "slg": Style("#7F7F7F", "s", "--"),
    "s2": Style("#7F7F7F", "^", ":"),
}

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
