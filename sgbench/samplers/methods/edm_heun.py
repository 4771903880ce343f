"""EDM's sampler: Heun's method in the noise level sigma, with or without churn."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING

from sgbench.samplers.clocks import SIGMA_MAX, SIGMA_MIN, at_both_ends
from sgbench.samplers.settings import Fresh, Prediction, Sampler, SamplerKind

if TYPE_CHECKING:
    from torch import Tensor

RHO = 7.0
MOST_CHURN = math.sqrt(2) - 1


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


def sample_edm_heun(
    denoise: Prediction,
    noise: Tensor,
    levels: Sequence[float],
    raised: Sequence[float] | None = None,
    fresh: Fresh | None = None,
) -> Tensor:
    """From unit noise (B, C, H, W) to the image; the state is kept in float64 (arXiv 2206.00364, algorithms 1 and 2).

    `levels` fall to 0. `denoise(x, sigma, evaluation)` is the denoised image; evaluations are counted from 0. With
    churn, step i first raises the noise from levels[i] to raised[i] by `fresh(step)`, noise of deviation S_noise.
    """
    x = noise.double() * levels[0]
    for step in range(len(levels) - 1):
        here, there = levels[step], levels[step + 1]
        if raised is not None and fresh is not None and raised[step] > here:
            x = x + math.sqrt(raised[step] ** 2 - here**2) * fresh(step)
            here = raised[step]
        slope = (x - denoise(x, here, 2 * step)) / here
        ahead = x + (there - here) * slope
        if there > 0:
            corrected = (ahead - denoise(ahead, there, 2 * step + 1)) / there
            ahead = x + (there - here) * (slope + corrected) / 2
        x = ahead
    return x


def _solve(sampler: Sampler, denoise: Prediction, noise: Tensor, fresh: Fresh) -> Tensor:
    levels = noise_levels(sampler.steps)
    raised = churned_levels(levels, sampler)
    return sample_edm_heun(denoise, noise, levels, raised, lambda step: sampler.churn_noise * fresh(step))


SAMPLER = SamplerKind(
    name="edm-heun",
    title="EDM's Heun",
    source="arXiv 2206.00364, algorithm 1; with churn, algorithm 2",
    works=("karras2022edm",),
    rank=30,
    clock="edm",
    takes=("churn", "churn_min", "churn_max", "churn_noise"),
    moments=lambda sampler: at_both_ends(
        noise_levels(sampler.steps), churned_levels(noise_levels(sampler.steps), sampler)
    ),
    solve=_solve,
)
