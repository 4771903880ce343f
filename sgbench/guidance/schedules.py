"""What changes in the course of sampling: gammas, the scale, and whether guidance acts at all.

Cells hold values; suites, ids and rows hold their text forms, which `str` gives in their shortest spelling. Progress is
0 at the first step and 1 at the end. Text forms:
- gamma: `linear 0 to 0.6`, `cosine 0.6 to 0`;
- scale, as a share of w - 1: `constant`, `linear`, `cosine` and `power-cosine P`, rising from 0 to 1, or falling from 1
  to 0 with ` falling` at the end;
- interval of guidance, outside which the strong branch alone is called: `always`, `progress 0.2 to 0.8` (from <= p <
  to) and `noise 0.05 to 0.7` (from < level <= to: t in [0, 1] for flows, sigma for EDM, (timestep + 1) / 1000 for the
  discrete process; half open as in Kynkaanniemi et al., arXiv 2404.07724).
"""

import math
import re
from collections.abc import Callable
from typing import NamedTuple

NUMBER = r"(\d+(?:\.\d*)?(?:e[+-]?\d+)?)"
# How far a schedule has come at sampling progress p, with exponent P; the cosine is half a period, flat at both ends.
SHAPES: dict[str, Callable[[float, float], float]] = {
    "constant": lambda p, exponent: 1.0,
    "linear": lambda p, exponent: p,
    "cosine": lambda p, exponent: (1 - math.cos(math.pi * p)) / 2,
    "power-cosine": lambda p, exponent: (1 - math.cos(math.pi * p**exponent)) / 2,
}


def exactly(number: float) -> str:
    """The shortest text that reads back as the same number: no setting is rounded on the way into a cell."""
    return repr(float(number)).removesuffix(".0")


class GammaSchedule(NamedTuple):
    """A gamma that moves from `start` to `end`."""

    shape: str
    start: float
    end: float

    def at(self, progress: float) -> float:
        """Gamma at sampling progress in [0, 1]."""
        return self.start + (self.end - self.start) * SHAPES[self.shape](progress, 1.0)

    def __str__(self) -> str:
        return f"{self.shape} {exactly(self.start)} to {exactly(self.end)}"


Gamma = float | GammaSchedule


class ScaleSchedule(NamedTuple):
    """The share of w - 1 that is applied."""

    shape: str
    power: float = 1.0
    falling: bool = False

    def at(self, progress: float) -> float:
        """The share at sampling progress in [0, 1].

        `power-cosine P` is MDT's (1 - cos(pi progress^P)) / 2 (arXiv 2303.14389); `cosine` has P = 1.
        """
        done = SHAPES[self.shape](progress, self.power)
        return 1 - done if self.falling else done

    def __str__(self) -> str:
        power = f" {exactly(self.power)}" if self.shape == "power-cosine" else ""
        return f"{self.shape}{power}{' falling' if self.falling else ''}"


CONSTANT = ScaleSchedule("constant")


def gamma_schedule(text: str) -> Gamma:
    """Parse the text form. Raises ValueError, with what to write, for an invalid one."""
    found = re.fullmatch(rf"(linear|cosine) {NUMBER} to {NUMBER}", text.strip())
    if found is None:
        raise ValueError(
            f"{text!r} is not a schedule of gamma: write a number, or `cosine 0.6 to 0` or `linear 0 to 0.6`"
        )
    schedule = GammaSchedule(found[1], float(found[2]), float(found[3]))
    for end in (schedule.start, schedule.end):
        if not 0 <= end < 1:
            raise ValueError(f"{text!r} leaves [0, 1) at {end:g}: a gamma is a share of tokens below 1")
    return schedule if schedule.start != schedule.end else schedule.start


def scale_schedule(text: str) -> ScaleSchedule:
    """Parse the text form. Raises ValueError, with what to write, for an invalid one."""
    words = text.split()
    falling = words[-1:] == ["falling"]
    shape, *rest = (words[:-1] if falling else words) or [""]
    power = float(rest[0]) if len(rest) == 1 and re.fullmatch(NUMBER, rest[0]) else None
    if shape not in SHAPES or len(rest) != (shape == "power-cosine") or (rest and not power) or power == math.inf:
        raise ValueError(
            f"{text!r} is not a schedule of the scale: write constant, linear, cosine or `power-cosine 4`, "
            "followed by ` falling` for one that falls"
        )
    if shape == "constant" and falling:
        raise ValueError("a constant scale does not fall: write constant")
    return ScaleSchedule("cosine" if power == 1 else shape, power or 1.0, falling)


def gamma_at(gamma: Gamma, progress: float) -> float:
    """A gamma at sampling progress in [0, 1]."""
    return gamma.at(progress) if isinstance(gamma, GammaSchedule) else gamma


def spell(gamma: Gamma) -> str:
    """A gamma as text, for messages."""
    return str(gamma) if isinstance(gamma, GammaSchedule) else f"{gamma:g}"


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

    def __str__(self) -> str:
        return "always" if self == ALWAYS else f"{self.clock} {exactly(self.start)} to {exactly(self.end)}"


ALWAYS = Interval("progress", 0.0, 1.0)


def interval(text: str) -> Interval:
    """Parse the text form. Raises ValueError, with what to write, for an invalid one."""
    if text.strip() == "always":
        return ALWAYS
    found = re.fullmatch(rf"(progress|noise) {NUMBER} to {NUMBER}", text.strip())
    if found is None:
        raise ValueError(f"{text!r} is not an interval: write always, `progress 0.2 to 0.8` or `noise 0 to 0.7`")
    clock, start, end = found[1], float(found[2]), float(found[3])
    if math.isinf(end):
        raise ValueError(f"{text!r} is not an interval: give levels that are numbers")
    if start > end:
        raise ValueError(f"{text!r} ends before it starts: swap the two numbers")
    if clock == "progress" and end > 1:
        raise ValueError(f"{text!r} goes beyond 1: progress is a share of the steps, from 0 to 1")
    return Interval(clock, start, end)
