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
    # Beyond seven colours the marker tells rules apart; kin share a colour.
    "pdg": Style("#009E73", "<"),
    "apg": Style("#D55E00", "p"),
    "cfg++": Style("#D55E00", "*"),
    "cfg-zero": Style("#E69F00", "h"),
    "tcfg": Style("#E69F00", ">"),
    "pag": Style("#CC79A7", "d"),
    "seg": Style("#CC79A7", "H"),
    "slg": Style("#7F7F7F", "s"),
    "s2": Style("#7F7F7F", "^"),
}
