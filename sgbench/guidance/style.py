"""How figures draw a rule. No torch, no matplotlib."""

from __future__ import annotations

from typing import Literal, NamedTuple

Line = Literal["-", "--", ":", "-."]


class Style(NamedTuple):
    """Colour (Okabe and Ito's palette, safe for colour-blind readers), marker and line of a rule.

    Beyond seven colours related rules share one; the marker and the line tell them apart.
    """

    colour: str = "#7F7F7F"
    marker: str = "o"
    line: Line = "-"


PLAIN = Style()
