"""A cell: one point of the sweep, frozen and hashable, with nothing in it that does not change the images."""

from __future__ import annotations

from typing import NamedTuple

from sgbench.guidance.intervals import ALWAYS
from sgbench.guidance.schedules import CONSTANT, spell


class Guidance(NamedTuple):
    """One guidance rule with its settings; a rule that has no use for a setting holds its neutral value."""

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
    subset: str = "exact"
    sharing: str = "independent"
    parameters: tuple[tuple[str, float | str], ...] = ()
    """The settings that only this rule has, by name, all of them."""

    def describe(self) -> str:
        """The settings that are not neutral, in a few words."""
        parts = [] if self.scale == 1 else [f"w={self.scale:g}"]
        if self.gamma_strong or self.gamma_weak:
            strong, weak = spell(self.gamma_strong), spell(self.gamma_weak)
            parts.append(f"gamma={strong}" if self.rule == "none" else f"gamma={strong}/{weak}")
        neutral = Guidance(self.rule)
        for name in ("interval", "scale_schedule", "rescale", "channels", "subset", "sharing"):
            value = getattr(self, name)
            if value != getattr(neutral, name):
                parts.append(f"{name}={value}")
        return " ".join([*parts, *(f"{name}={value}" for name, value in self.parameters)])


class Sampler(NamedTuple):
    """How images are drawn from the predictions; what a sampler has no use for holds its neutral value."""

    name: str
    steps: int
    shift: float = 1.0
    churn: float = 0.0
    churn_min: float = 0.0
    churn_max: float = float("inf")
    churn_noise: float = 1.0

    def describe(self) -> str:
        """The settings that are not neutral, in a few words."""
        names = ("shift", "churn", "churn_min", "churn_max", "churn_noise")
        neutral = Sampler(self.name, self.steps)
        rest = [f"{name}={getattr(self, name):g}" for name in names if getattr(self, name) != getattr(neutral, name)]
        return " ".join([*([] if self.name == "euler" else [self.name]), f"{self.steps} steps", *rest])


class Cell(NamedTuple):
    """Everything an image depends on, besides its own index."""

    model: str
    guidance: Guidance
    sampler: Sampler
    seed: int
    labels: str
    dtype: str
    autoencoder: str = ""
    """What decodes latents: a folder, a hub id or `none`; empty for models that draw pixels."""
    compile: str = "none"
    """How torch compiles the network, if it does: kernels that are fused round otherwise."""
    prompts: str = ""
    """The prompt set of a text-to-image model, by name, file or address; empty for models of classes."""
    text_encoder: str = ""
    """What reads the prompts, for models that do not bring their own: a file or a hub id."""

    def unguided(self) -> Cell:
        """The dense unguided cell of the same seeds: what LPIPS compares with."""
        return self._replace(guidance=Guidance("none"))

    def describe(self) -> str:
        """The cell in a few words, for progress lines and error messages."""
        return " ".join(part for part in (self.model, self.guidance.rule, self.guidance.describe()) if part) + (
            f" {self.sampler.describe()}"
        )
