"""The samplers by name, as their files in `methods/` define them. No torch."""

from functools import cache

from sgbench.base.discover import found
from sgbench.base.registry import Registry
from sgbench.samplers.record import closed_sampler, sampler_record
from sgbench.samplers.settings import Moment, Sampler, SamplerKind

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
    return kind.moments(sampler)
