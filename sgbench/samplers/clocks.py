"""When a sampler evaluates the guided prediction: noise levels and progress, step by step. No torch.

A level is what predictions are asked for: t from 1 (noise) to 0 (image) for flows, sigma for EDM, a timestep in 0..999
for the discrete process with linear betas that DiT and MDTv2 were trained on.
"""

from __future__ import annotations

import math
from functools import cache
from typing import NamedTuple, assert_never

from sgbench.samplers.settings import Sampler

SIGMA_MAX, SIGMA_MIN, RHO = 80.0, 0.002, 7.0
TRAINED_STEPS, BETA_START, BETA_END = 1000, 1e-4, 0.02
LAST_STEP = 0.04
MOST_CHURN = math.sqrt(2) - 1


class Moment(NamedTuple):
    """One evaluation of the guided prediction."""

    level: float
    progress: float
    """Share of sampling that is done: steps over all steps, or 1 - timestep / 1000 in the discrete process."""
    noise: float
    """The level as intervals know it: t, sigma, or (timestep + 1) / 1000."""
    step: int


def flow_times(steps: int, shift: float = 1.0) -> list[float]:
    """steps + 1 times from 1 to 0, uniform, then moved to s t / (1 + (s - 1) t): s > 1 stays longer in the noise.

    The shift is that of Stable Diffusion 3 (arXiv 2403.03206, section 5.3.2).
    """
    return [shifted(1 - step / steps, shift) for step in range(steps + 1)]


def shifted(time: float, shift: float) -> float:
    """A flow's time after the shift."""
    return shift * time / (1 + (shift - 1) * time)


def stochastic_times(steps: int, shift: float = 1.0) -> list[float]:
    """steps times from 1 to 0.04, uniform, then 0: the last step is one of 0.04 without noise, as in SiT and SPRINT."""
    spacing = (1 - LAST_STEP) / (steps - 1) if steps > 1 else 0.0
    return [shifted(1 - step * spacing, shift) for step in range(steps)] + [0.0]


def noise_levels(steps: int) -> list[float]:
    """steps + 1 noise levels from SIGMA_MAX to SIGMA_MIN and then 0 (arXiv 2206.00364, eq. 5)."""
    ends = SIGMA_MAX ** (1 / RHO), SIGMA_MIN ** (1 / RHO)
    shares = [index / (steps - 1) if steps > 1 else 0.0 for index in range(steps)]
    return [(ends[0] + share * (ends[1] - ends[0])) ** RHO for share in shares] + [0.0]


def churned_levels(levels: list[float], sampler: Sampler) -> list[float]:
    """The level each step starts from once its noise was raised (arXiv 2206.00364, algorithm 2); no churn, no rise."""
    share = min(sampler.churn / sampler.steps, MOST_CHURN)
    raised = [s * (1 + share) if sampler.churn_min <= s <= sampler.churn_max else s for s in levels[:-1]]
    return [*raised, 0.0]


def kept_timesteps(steps: int) -> list[int]:
    """Timesteps visited, ascending: `steps` of the 1,000 at an even, rounded stride, both ends included.

    The spacing of improved DDPM (arXiv 2102.09672), as DiT's sampler uses it.
    """
    stride = (TRAINED_STEPS - 1) / (steps - 1) if steps > 1 else 1.0
    return [round(index * stride) for index in range(steps)]


@cache
def moments(sampler: Sampler) -> tuple[Moment, ...]:
    """Every evaluation of a run, in order; the same list that the sampler's function walks through."""
    steps = sampler.steps
    match sampler.name:
        case "euler":
            return _one_stage(flow_times(steps, sampler.shift), steps)
        case "euler-maruyama":
            return _one_stage(stochastic_times(steps, sampler.shift), steps)
        case "heun":
            times = flow_times(steps, sampler.shift)
            return _two_stages(times, times, steps)
        case "edm-heun":
            levels = noise_levels(steps)
            return _two_stages(churned_levels(levels, sampler), levels, steps)
        case "ddim" | "ddpm":
            order = enumerate(reversed(kept_timesteps(steps)))
            return tuple(Moment(t, 1 - t / TRAINED_STEPS, (t + 1) / TRAINED_STEPS, step) for step, t in order)
        case _:
            assert_never(sampler.name)


def _one_stage(times: list[float], steps: int) -> tuple[Moment, ...]:
    """Euler's method: at the start of every step."""
    return tuple(Moment(t, step / steps, _rounded(t), step) for step, t in enumerate(times[:-1]))


def _two_stages(starts: list[float], ends: list[float], steps: int) -> tuple[Moment, ...]:
    """Heun's method: at the start of every step and at the end of all but the last."""
    found = []
    for step in range(steps):
        found.append(Moment(starts[step], step / steps, _rounded(starts[step]), step))
        if step + 1 < steps:
            found.append(Moment(ends[step + 1], (step + 1) / steps, _rounded(ends[step + 1]), step))
    return tuple(found)


def _rounded(level: float) -> float:
    """A level without the last bits that 1 - 7 / 10 has too many: an interval that ends at 0.3 means this one."""
    return round(level, 12)
