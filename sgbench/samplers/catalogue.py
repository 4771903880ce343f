"""The samplers by name, as their files in `methods/` define them. No torch."""

from functools import cache
from typing import TYPE_CHECKING, Literal

from sgbench.base.discover import found
from sgbench.samplers.settings import Moment, Sampler, SamplerKind

_FOUND: list[SamplerKind] = sorted(
    found("sgbench.samplers.methods", "SAMPLER"), key=lambda kind: (kind.rank, kind.name)
)
SAMPLERS = {kind.name: kind for kind in _FOUND}
FLOW_SAMPLERS = tuple(name for name, kind in SAMPLERS.items() if kind.clock == "flow")
EDM_SAMPLERS = tuple(name for name, kind in SAMPLERS.items() if kind.clock == "edm")
DISCRETE_SAMPLERS = tuple(name for name, kind in SAMPLERS.items() if kind.clock == "discrete")
if TYPE_CHECKING:
    SamplerName = str
else:
    SamplerName = Literal[tuple(SAMPLERS)]


@cache
def moments(sampler: Sampler) -> tuple[Moment, ...]:
    """Every evaluation of a run, in order; the same list that the sampler's function walks through."""
    return SAMPLERS[sampler.name].moments(sampler)
