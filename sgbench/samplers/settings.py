"""The settings of a sampler that a cell holds, and what a sampler is. No torch."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, NamedTuple

from sgbench.base.choices import require_choice, unknown

if TYPE_CHECKING:
    from torch import Tensor

Clock = Literal["flow", "edm", "discrete"]
"""flow: t from 1 (noise) to 0 (image), of velocities. edm: sigma, of denoised images. discrete: a timestep in 0..999 of
the process with linear betas that DiT and MDTv2 were trained on, of noise."""
Prediction = Callable[["Tensor", float, int], "Tensor"]
"""The prediction at (x, level, number of the evaluation)."""
Pair = Callable[["Tensor", float, int], "tuple[Tensor, Tensor]"]
"""The guided and the unconditional prediction; the same one twice where there is no guidance."""
Fresh = Callable[[int], "Tensor"]
"""Unit noise for a step."""


class Sampler(NamedTuple):
    """How images are sampled; settings that a sampler does not take have their neutral value."""

    name: str
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


class Moment(NamedTuple):
    """One evaluation of the guided prediction."""

    level: float
    """Time of the prediction: t, sigma or a timestep, by the clock."""
    progress: float
    """Share of sampling that is done: steps over all steps, or 1 - timestep / 1000 in the discrete process."""
    noise: float
    """The level as intervals know it: t, sigma, or (timestep + 1) / 1000."""
    step: int


@dataclass(frozen=True)
class SamplerKind:
    """One sampler: what it is, when it evaluates the prediction, and how it gets from noise to an image."""

    name: str
    title: str
    source: str
    clock: Clock
    moments: Callable[[Sampler], tuple[Moment, ...]]
    """Every evaluation of a run, in the order and at the levels of `solve`."""
    solve: Callable[[Sampler, Prediction, Tensor, Fresh], Tensor]
    """Final state of a run from unit noise (B, C, H, W)."""
    solve_plus_plus: Callable[[Sampler, Pair, Tensor], Tensor] | None = None
    """The same by the update of CFG++, for samplers that have one."""
    takes: tuple[str, ...] = ()
    """The settings it takes, apart from the number of steps."""
    most_steps: int | None = None
    """Steps beyond which there is nothing new to visit."""
    needs_variance: bool = False
    """Whether the network has to predict the variance of a step, too."""
    works: tuple[str, ...] = ()
    """What to cite: keys of `report/citations/references.bib`."""
    rank: int = 1000
    """Its place in lists; of equals, the first by name."""

    def __post_init__(self) -> None:
        require_choice(self.clock, Clock, "SamplerKind.clock")
        for setting in self.takes:
            if setting not in Sampler._field_defaults:
                raise unknown("setting of samplers", setting, Sampler._field_defaults, "SamplerKind.takes")

    def evaluations(self, steps: int) -> int:
        """Evaluations of the guided prediction in a run of `steps` steps."""
        return len(self.moments(Sampler(self.name, steps)))
