"""The settings of guidance that a cell holds. No torch."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any, NamedTuple, TypeVar

from sgbench.guidance.perturbation import Layers, layers
from sgbench.guidance.schedules import (
    ALWAYS,
    CONSTANT,
    Gamma,
    Interval,
    ScaleSchedule,
    gamma_schedule,
    interval,
    scale_schedule,
    spell,
)
from sgbench.guidance.subset_rules import Sharing, SubsetRule

Value = float | Layers | Interval
"""What a parameter of a rule may be."""
V = TypeVar("V", float, Layers, Interval)
T = TypeVar("T")


class Named(dict[str, T]):
    """Values by name; a wrong name is answered with those there are."""

    def __missing__(self, name: str) -> T:
        raise KeyError(f"there is no {name}, only {', '.join(self) or 'nothing'}")


class Segments(tuple["Guidance", ...]):
    """Guidance by segments of sampling: each acts where its interval holds."""

    def __str__(self) -> str:
        parts = ((one, one._replace(interval=ALWAYS).describe()) for one in self)
        return "; ".join(" ".join(filter(None, (one.rule, text, f"in {one.interval}"))) for one, text in parts)


NO_SEGMENTS = Segments()


class Guidance(NamedTuple):
    """One guidance rule with its settings; settings that a rule does not take have their neutral value."""

    rule: str
    scale: float = 1.0
    gamma_strong: Gamma = 0.0
    gamma_weak: Gamma = 0.0
    interval: Interval = ALWAYS
    scale_schedule: ScaleSchedule = CONSTANT
    rescale: float = 0.0
    channels: int | None = None
    """How many channels are guided; None for those that the model's published sampler guides."""
    subset: SubsetRule = "exact"
    sharing: Sharing = "independent"
    parameters: tuple[tuple[str, Value], ...] = ()
    """The settings that only this rule has, by name, all of them."""
    segments: Segments = NO_SEGMENTS
    """Other guidance for parts of sampling, in the order it acts in; between them the model is not guided."""

    def parameter(self, name: str, default: V) -> V:
        """A parameter of the rule; `default`, which is of its type, for rules without it."""
        return dict(self.parameters).get(name, default)  # type: ignore[return-value]

    @property
    def numbers(self) -> dict[str, float]:
        """The parameters that are numbers."""
        return Named({name: value for name, value in self.parameters if isinstance(value, int | float)})

    def at(self, progress: float, noise: float) -> Guidance:
        """What guides at a moment: these settings, or those of the segment that acts there."""
        if not self.segments:
            return self
        return next((one for one in self.segments if one.interval.holds(progress, noise)), UNGUIDED)

    def describe(self) -> str:
        """The settings that are not neutral, in a few words."""
        if self.segments:
            return str(self.segments)
        parts = [] if self.scale == 1 else [f"w={self.scale:g}"]
        if self.gamma_strong or self.gamma_weak:
            strong, weak = spell(self.gamma_strong), spell(self.gamma_weak)
            parts.append(f"gamma={strong}" if self.rule == "none" else f"gamma={strong}/{weak}")
        parts += [f"{name}={getattr(self, name)}" for name in OPTIONAL if getattr(self, name) != NEUTRAL[name]]
        return " ".join([*parts, *(f"{name}={value}" for name, value in self.parameters)])


UNGUIDED = Guidance("none")
# What a sweep is about; of other settings only those that are not neutral are reported.
SWEPT = ("scale", "gamma_strong", "gamma_weak", "parameters", "segments")
NEUTRAL = Guidance._field_defaults
OPTIONAL = tuple(name for name in NEUTRAL if name not in SWEPT)
READERS = {
    "gamma_strong": gamma_schedule,
    "gamma_weak": gamma_schedule,
    "interval": interval,
    "scale_schedule": scale_schedule,
}


def plain(value: object) -> object:
    """A setting as JSON takes it: numbers as they are, anything else by its text form."""
    # JSON has no infinity.
    return value if value is None or (isinstance(value, int | float) and value != math.inf) else str(value)


def guidance_of(record: Mapping[str, Any]) -> Guidance:
    """Guidance from its fields as `plain` gives them. Raises ValueError for text of no known form."""
    found: dict[str, Any] = {
        name: READERS[name](value) if name in READERS and isinstance(value, str) else value
        for name, value in record.items()
    }
    parameters = {name: value_of(value) for name, value in record.get("parameters", {}).items()}
    segments = Segments(guidance_of(one) for one in record.get("segments", ()))
    return Guidance(**{**found, "parameters": tuple(parameters.items()), "segments": segments})


def value_of(value: float | str) -> Value:
    """The value of a parameter from its plain form. Raises ValueError for text of no known form."""
    if not isinstance(value, str):
        return value
    if value == "inf":
        return math.inf
    return layers(value) if value[:1].isdigit() else interval(value)
