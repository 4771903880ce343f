"""The part of sampling in which guidance acts; outside it the strong branch alone is called.

Text forms: `always`, `progress 0.2 to 0.8` (share of the steps done, from <= p < to) and `noise 0.05 to 0.7` (the
noise level, from < level <= to: t in [0, 1] for flows, sigma for EDM, (timestep + 1) / 1000 for the discrete process;
half open as in Kynkaanniemi et al., arXiv 2404.07724).
"""

from __future__ import annotations

import math
import re
from functools import cache
from typing import NamedTuple

from sgbench.guidance.schedules import NUMBER, exactly

ALWAYS = "always"


class Interval(NamedTuple):
    """Where guidance acts, in sampling progress or in noise level."""

    clock: str
    start: float
    end: float

    def holds(self, progress: float, noise: float) -> bool:
        """Whether an evaluation at this progress and noise level is guided. An interval of width 0 holds none."""
        if self.clock == "noise":
            return self.start < noise <= self.end
        return self.start <= progress < self.end or (self.end == 1 <= progress and self.start < 1)


EVERYWHERE = Interval("progress", 0.0, 1.0)


@cache
def interval(text: str) -> Interval:
    """The interval that a text form stands for. Raises ValueError, with what to write, for one that means nothing."""
    if text.strip() == ALWAYS:
        return EVERYWHERE
    found = re.fullmatch(rf"(progress|noise) {NUMBER} to {NUMBER}", text.strip())
    if found is None:
        raise ValueError(f"{text!r} is no interval: write always, `progress 0.2 to 0.8` or `noise 0 to 0.7`")
    clock, start, end = found[1], float(found[2]), float(found[3])
    if math.isinf(end):
        raise ValueError(f"{text!r} is no interval: give levels that are numbers")
    if start > end:
        raise ValueError(f"{text!r} ends before it starts: swap the two numbers")
    if clock == "progress" and end > 1:
        raise ValueError(f"{text!r} goes beyond 1: progress is a share of the steps, from 0 to 1")
    return Interval(clock, start, end)


def spell_interval(text: str) -> str:
    """The text form in its shortest spelling; all of sampling is `always`."""
    found = interval(text)
    return ALWAYS if found == EVERYWHERE else f"{found.clock} {exactly(found.start)} to {exactly(found.end)}"
