"""The settings of a sampler that a cell holds. No torch."""

from __future__ import annotations

from typing import Literal, NamedTuple

SamplerName = Literal["euler", "heun", "euler-maruyama", "edm-heun", "ddim", "ddpm"]


class Sampler(NamedTuple):
    """How images are sampled from predictions; settings that a sampler does not use are neutral."""

    name: SamplerName
    steps: int
    shift: float = 1.0
    churn: float = 0.0
    churn_min: float = 0.0
    churn_max: float = float("inf")
    churn_noise: float = 1.0

    def describe(self) -> str:
        """The settings that are not neutral, in a few words."""
        neutral = self._field_defaults
        rest = [f"{name}={getattr(self, name):g}" for name in neutral if getattr(self, name) != neutral[name]]
        return " ".join([*([] if self.name == "euler" else [self.name]), f"{self.steps} steps", *rest])
