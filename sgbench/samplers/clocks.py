"""The clocks that samplers share: the times or timesteps of a run, and the moments at which they are evaluated.

Torch is imported where signal levels are computed, and not before.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from typing import TYPE_CHECKING, assert_never

from sgbench.samplers.settings import Clock, Moment, Sampler

if TYPE_CHECKING:
    from torch import Tensor

TRAINED_STEPS, BETA_START, BETA_END = 1000, 1e-4, 0.02
# EDM's range of sigma (arXiv 2206.00364, table 1).
SIGMA_MAX, SIGMA_MIN = 80.0, 0.002


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


def flow_time(clock: Clock, level: float) -> float:
    """A level on the clock of flow matching, on which a state is (1 - t) image + t noise.

    A state of any process is such a mixture up to its scale: sigma is t / (1 - t).
    """
    match clock:
        case "flow":
            return level
        case "edm":
            return level / (1 + level)
        case "discrete":
            return _discrete_times()[int(level)]
        case _:
            assert_never(clock)


def moved(clock: Clock, level: float, offset: float) -> float:
    """The level that lies `offset` later on the clock of flow matching, or earlier; within the range of the process."""
    if not offset:
        return level
    time = max(0.0, flow_time(clock, level) + offset)
    match clock:
        case "flow":
            return min(time, 1.0)
        case "edm":
            largest = max(level, SIGMA_MAX)
            return max(SIGMA_MIN, min(largest, time / (1 - time) if time < 1 else largest))
        case "discrete":
            times = _discrete_times()
            return min(range(TRAINED_STEPS), key=lambda timestep: abs(times[timestep] - time))
        case _:
            assert_never(clock)


@cache
def _discrete_times() -> list[float]:
    signal = signal_levels(range(TRAINED_STEPS))
    sigma = ((1 - signal) / signal).sqrt()
    return (sigma / (1 + sigma)).tolist()


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
