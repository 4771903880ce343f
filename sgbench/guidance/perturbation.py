"""A branch that is weak because some of its blocks are disturbed: what happens in which blocks."""

from __future__ import annotations

import math
import re
from dataclasses import dataclass
from functools import cache
from typing import Literal

from sgbench.base.choices import require_choice

Kind = Literal["identity", "blur", "skip"]
# No network has so many, and a range is written out.
MOST_BLOCKS = 10_000


@dataclass(frozen=True)
class Perturbation:
    """`identity`: attention returns its values; `blur`: queries are blurred over the grid; `skip`: no block at all.

    Blocks are numbered in the order they run in, from 0.
    """

    kind: Kind
    layers: tuple[int, ...]
    sigma: float = math.inf
    """Standard deviation of the blur in tokens; at infinity every query is the mean query."""

    def __post_init__(self) -> None:
        require_choice(self.kind, Kind, "Perturbation.kind")

    def skips(self, layer: int) -> bool:
        """Whether the block does not run."""
        return self.kind == "skip" and layer in self.layers

    def attention(self, layer: int) -> Perturbation | None:
        """What the block's attention has to know."""
        return self if self.kind != "skip" and layer in self.layers else None


@cache
def layers(text: str) -> tuple[int, ...]:
    """`7-9,12` as (7, 8, 9, 12). Raises ValueError, with what to write, for what is no list of blocks."""
    if not re.fullmatch(r"\d+(-\d+)?(,\d+(-\d+)?)*", text.replace(" ", "")):
        raise ValueError(f"{text!r} is no list of blocks: write numbers from 0 and ranges, such as 7-9 or 2,5,8-10")
    found: set[int] = set()
    for part in text.replace(" ", "").split(","):
        first, _, last = part.partition("-")
        # Counted before it is read: Python refuses numbers of thousands of digits.
        if max(len(first), len(last)) > len(str(MOST_BLOCKS)) or int(last or first) > MOST_BLOCKS:
            raise ValueError(f"{text!r} goes beyond block {MOST_BLOCKS}: no network has so many")
        if int(last or first) < int(first):
            raise ValueError(f"{part} ends before it starts: swap the two numbers")
        found |= set(range(int(first), int(last or first) + 1))
    return tuple(sorted(found))


def spell_layers(found: tuple[int, ...]) -> str:
    """The inverse of `layers`, runs written as ranges."""
    runs: list[list[int]] = []
    for layer in found:
        if runs and layer == runs[-1][-1] + 1:
            runs[-1].append(layer)
        else:
            runs.append([layer])
    return ",".join(str(run[0]) if len(run) == 1 else f"{run[0]}-{run[-1]}" for run in runs)
