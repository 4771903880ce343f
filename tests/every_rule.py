"""Settings under which every registered rule can be tried on a small network."""

from __future__ import annotations

from sgbench.conformance.rule_settings import guiding, settings_of
from sgbench.guidance import RULES
from sgbench.guidance.settings import Guidance

EVERY = {name: settings_of(rule) for name, rule in RULES.items()}


def with_scale(guidance: Guidance, scale: float = 2.0) -> Guidance:
    """The same with a weak branch, for rules whose default scale leaves it out."""
    return guiding(RULES[guidance.rule], guidance, scale)
