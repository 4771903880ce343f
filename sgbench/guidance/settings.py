"""The settings of guidance that a cell holds. No torch."""

from typing import NamedTuple

from sgbench.guidance.schedules import ALWAYS, CONSTANT, spell
from sgbench.guidance.subset_rules import Sharing, SubsetRule


class Guidance(NamedTuple):
    """One guidance rule with its settings; settings that a rule does not take have their neutral value."""

    rule: str
    scale: float = 1.0
    gamma_strong: float | str = 0.0
    """A number, or a schedule in its text form (`guidance/schedules.py`)."""
    gamma_weak: float | str = 0.0
    interval: str = ALWAYS
    scale_schedule: str = CONSTANT
    rescale: float = 0.0
    channels: int | None = None
    """How many channels are guided; None for those that the model's published sampler guides."""
    subset: SubsetRule = "exact"
    sharing: Sharing = "independent"
    parameters: tuple[tuple[str, float | str], ...] = ()
    """The settings that only this rule has, by name, all of them."""

    def describe(self) -> str:
        """The settings that are not neutral, in a few words."""
        parts = [] if self.scale == 1 else [f"w={self.scale:g}"]
        if self.gamma_strong or self.gamma_weak:
            strong, weak = spell(self.gamma_strong), spell(self.gamma_weak)
            parts.append(f"gamma={strong}" if self.rule == "none" else f"gamma={strong}/{weak}")
        parts += [f"{name}={getattr(self, name)}" for name in OPTIONAL if getattr(self, name) != NEUTRAL[name]]
        return " ".join([*parts, *(f"{name}={value}" for name, value in self.parameters)])


# What a sweep is about; of other settings only those that are not neutral are reported.
SWEPT = ("scale", "gamma_strong", "gamma_weak", "parameters")
NEUTRAL = Guidance._field_defaults
OPTIONAL = tuple(name for name in NEUTRAL if name not in SWEPT)
