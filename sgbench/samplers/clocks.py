"""The clocks that samplers share: the times or timesteps of a run, and the moments at which they are evaluated.

Torch is imported where signal levels are computed, and not before.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from sgbench.samplers.settings import Moment, Sampler

if TYPE_CHECKING:
    from torch import Tensor

TRAINED_STEPS, BETA_START, BETA_END = 1000, 1e-4, 0.02


def flow_times(steps: int, shift: float = 1.0) -> list[float]:
    """steps + 1 times from 1 to 0, uniform, then moved to s t / (1 + (s - 1) t): s > 1 stays longer in the noise.

    The shift is that of Stable Diffusion 3 (arXiv 2403.03206, section 5.3.2).
    """
    return [shifted(1 - step / steps, shift) for step in range(steps + 1)]


def sampler_times(sampler: Sampler) -> list[float]:
    """`flow_times` of a sampler's settings."""
    return flow_times(sampler.steps, sampler.shift)


def shifted(time: float, shift: float) -> float:
    """A flow's time after the shift."""
    return shift * time / (1 + (shift - 1) * time)


def kept_timesteps(steps: int) -> list[int]:
    """Timesteps visited, ascending: `steps` of the 1,000 at an even, rounded stride, both ends included.

    The spacing of improved DDPM (arXiv 2102.09672), as DiT's sampler uses it.
    """
    stride = (TRAINED_STEPS - 1) / (steps - 1) if steps > 1 else 1.0
    return [round(index * stride) for index in range(steps)]


def signal_levels(timesteps: Sequence[int]) -> Tensor:
    """Cumulative products of 1 - beta at the given timesteps, float64."""
    import torch

    betas = torch.linspace(BETA_START, BETA_END, TRAINED_STEPS, dtype=torch.float64)
    return torch.cumprod(1 - betas, dim=0)[list(timesteps)]


def image_of(x: Tensor, epsilon: Tensor, level: float) -> Tensor:
    """The image that x = sqrt(level) image + sqrt(1 - level) epsilon holds."""
    return (x - (1 - level) ** 0.5 * epsilon) / level**0.5


def at_starts(times: Sequence[float]) -> tuple[Moment, ...]:
    """One evaluation at the start of every step, over times that end at 0."""
    steps = len(times) - 1
    return tuple(_moment(time, step, steps) for step, time in enumerate(times[:-1]))


def at_both_ends(times: Sequence[float], starts: Sequence[float] | None = None) -> tuple[Moment, ...]:
    """An evaluation at the start of every step, and one at the end of all but the last, as Heun's method makes them.

    Steps begin at `starts` where their noise is raised first.
    """
    steps = len(times) - 1
    found = []
    for step, start in enumerate((starts or times)[:-1]):
        found.append(_moment(start, step, steps))
        if step + 1 < steps:
            found.append(_moment(times[step + 1], step + 1, steps)._replace(step=step))
    return tuple(found)


def at_timesteps(steps: int) -> tuple[Moment, ...]:
    """One evaluation at every visited timestep of the discrete process."""
    order = enumerate(reversed(kept_timesteps(steps)))
    return tuple(Moment(t, 1 - t / TRAINED_STEPS, (t + 1) / TRAINED_STEPS, step) for step, t in order)


def _moment(level: float, step: int, steps: int) -> Moment:
    # Without the last bits that 1 - 7 / 10 has too many: an interval that ends at 0.3 means this one.
    return Moment(level, step / steps, round(level, 12), step)
