"""Rules by segments of sampling: one acts early, another late. No torch."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from typing import TYPE_CHECKING

from sgbench.guidance.branches import Predictions, Rule, Step, Style
from sgbench.guidance.settings import Guidance, Segments

if TYPE_CHECKING:
    from torch import Tensor

JOINT = "-then-"
"""Between the names of rules that act in turn."""


def segmented(parts: Sequence[Guidance]) -> Guidance:
    """Guidance by segments, in the order they act in.

    Raises ValueError unless each part has an interval of its own, all on one clock, and no two overlap.
    """
    clocks = {part.interval.clock for part in parts}
    if len(clocks) > 1:
        raise ValueError("the intervals of segments are all in progress, or all in noise")
    # Noise falls in the course of sampling, progress rises.
    falls = clocks == {"noise"}
    ordered = sorted(parts, key=lambda part: part.interval.start, reverse=falls)
    for first, second in pairwise(part.interval for part in ordered):
        if second.end > first.start if falls else first.end > second.start:
            raise ValueError(f"the intervals {first} and {second} overlap")
    return Guidance(JOINT.join(part.rule for part in ordered), segments=Segments(ordered))


def in_turn(rules: Sequence[Rule]) -> Rule:
    """What is known of rules that act one after the other, as of one rule."""
    branches = {f"{name} of {rule.name}": branch for rule in rules for name, branch in rule.named.items()}
    return Rule(
        name=JOINT.join(rule.name for rule in rules),
        title=" then ".join(rule.title for rule in rules),
        source="; ".join(dict.fromkeys(rule.source for rule in rules)),
        formula="; then ".join(rule.formula for rule in rules),
        others=branches,
        combine=_by_segment,
        works=tuple(dict.fromkeys(work for rule in rules for work in rule.works)),
        style=Style(rules[-1].style.colour, "8", "-."),
        rank=max(rule.rank for rule in rules),
    )


def _by_segment(predictions: Predictions, step: Step) -> Tensor:
    raise AssertionError("each segment is combined by its own rule")
