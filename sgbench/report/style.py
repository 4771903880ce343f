"""One look for every figure: a rule keeps its colour and marker wherever it is drawn."""

from __future__ import annotations

from typing import NamedTuple


class Style(NamedTuple):
    """Colour (Okabe and Ito's palette, safe for colour-blind readers) and marker of a rule."""

    colour: str
    marker: str


STYLES = {
    "none": Style("#000000", "o"),
    "cfg": Style("#D55E00", "s"),
    "icg": Style("#E69F00", "D"),
    "ag": Style("#CC79A7", "v"),
    "sg": Style("#0072B2", "^"),
    "cfg+sg": Style("#009E73", "P"),
    "ag+sg": Style("#56B4E9", "X"),
}
