"""The samplers by name, as their files in `methods/` define them. No torch."""

import math
from functools import cache
from typing import Final

from sgbench.base.discover import found
from sgbench.base.errors import UserError
from sgbench.base.registry import Registry
from sgbench.samplers.clocks import TRAINED_STEPS
from sgbench.samplers.record import closed_sampler, sampler_record
from sgbench.samplers.settings import Moment, Sampler, SamplerKind

RANGES: Final = {"flow": (0.0, 1.0), "edm": (0.0, math.inf), "discrete": (0, TRAINED_STEPS - 1)}
_FOUND: list[SamplerKind] = sorted(
    found("sgbench.samplers.methods", "SAMPLER"), key=lambda kind: (kind.rank, kind.name)
)
SAMPLERS = Registry("sampler", SamplerKind, _FOUND, record=sampler_record, restore=closed_sampler)
FLOW_SAMPLERS = tuple(name for name, kind in SAMPLERS.items() if kind.clock == "flow")
EDM_SAMPLERS = tuple(name for name, kind in SAMPLERS.items() if kind.clock == "edm")
DISCRETE_SAMPLERS = tuple(name for name, kind in SAMPLERS.items() if kind.clock == "discrete")


def moments(sampler: Sampler) -> tuple[Moment, ...]:
    """Every evaluation of a run, in order; the same list that the sampler's function walks through."""
    return _moments(SAMPLERS[sampler.name], sampler)


@cache
def _moments(kind: SamplerKind, sampler: Sampler) -> tuple[Moment, ...]:
    with SAMPLERS.running(kind.name):
        found = tuple(kind.moments(sampler))
    if SAMPLERS.built_in(kind.name):
        return found
    problem, place = _problem(kind, sampler, found), SAMPLERS.place(kind.name, kind.moments)
    if problem:
        raise UserError(
            f"the moments of the sampler {kind.name}{place} at {sampler.steps} steps {problem}",
            where=SAMPLERS.origin(kind.name).text,
            fix="give a Moment for every evaluation, in order",
        )
    return found


def _problem(kind: SamplerKind, sampler: Sampler, found: tuple[Moment, ...]) -> str:
    """What is wrong with the moments of a user's sampler; empty where nothing is."""
    if not found or not all(isinstance(moment, Moment) for moment in found):
        return "are not a tuple of Moment" if found else "are empty"
    low, high = RANGES[kind.clock]
    for number, moment in enumerate(found):
        if not low <= moment.level <= high or (kind.clock == "discrete" and moment.level != int(moment.level)):
            return f"give the level {moment.level:g} in evaluation {number}, outside the clock {kind.clock}"
        if not 0 <= moment.progress <= 1 or not moment.noise >= 0:
            return f"give progress {moment.progress:g} and noise {moment.noise:g} in evaluation {number}"
    steps = [moment.step for moment in found]
    if steps != sorted(steps) or steps[0] < 0 or steps[-1] >= sampler.steps:
        return f"give the steps {', '.join(map(str, steps[:8]))}, which do not rise from 0 to {sampler.steps - 1}"
    return ""
