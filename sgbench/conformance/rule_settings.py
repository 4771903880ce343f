"""Settings under which any rule can be tried, derived from what it takes. No torch."""

import math
from typing import Final

from sgbench.guidance import Rule
from sgbench.guidance.branches import Parameter
from sgbench.guidance.perturbation import Layers
from sgbench.guidance.schedules import GammaSchedule
from sgbench.guidance.settings import Guidance, Value

LAYERS: Final = Layers((1, 2, 3))
# As many as the smallest networks have that rules are tried on.
BLOCKS: Final = 4
# Of a range that has no end, how much is tried.
WIDTH: Final = 8.0


def settings_of(rule: Rule, share: float | None = 0.25) -> Guidance:
    """Gammas that differ, and move where two checkpoints allow it; parameters at a share of their ranges.

    Without a share they have their defaults. The scale is the rule's default, or one that guides: `guiding` gives those
    of default 1 another.
    """
    strong, weak = (0.75, GammaSchedule("cosine", 0.6, 0.0)) if rule.needs_auxiliary else (0.25, 0.75)
    return Guidance(
        rule.name,
        rule.scale_default or (1.0 if not rule.takes_scale else 2.0 if rule.scale_range[1] > 1 else 0.6),
        strong if rule.takes_gamma_strong else 0.0,
        weak if rule.takes_gamma_weak else 0.0,
        parameters=tuple((parameter.name, _value(parameter, share)) for parameter in rule.parameters),
    )


def _value(parameter: Parameter, share: float | None) -> Value:
    if parameter.text == "layers":
        return LAYERS
    default, low = parameter.usual(range(BLOCKS)), parameter.low
    if default is not None and (share is None or parameter.text or parameter.whole or math.isinf(low)):
        return default
    assert not parameter.text, parameter.name
    low = min(0.0, parameter.high - WIDTH) if math.isinf(low) else low
    width = WIDTH if math.isinf(parameter.high) else parameter.high - low
    found = low + width * (0.25 if share is None else share)
    return round(found) if parameter.whole else found


def guiding(rule: Rule, guidance: Guidance, scale: float = 2.0) -> Guidance:
    """The same with a weak branch, for rules whose default scale leaves it out."""
    return guidance._replace(scale=scale) if rule.takes_scale and guidance.scale == 1 else guidance
