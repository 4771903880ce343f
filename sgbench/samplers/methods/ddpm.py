"""DDPM with learned variances on a process of 1,000 steps with linear betas, as DiT and MDTv2 publish it."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING

from sgbench.samplers.clocks import TRAINED_STEPS, at_timesteps, image_of, kept_timesteps, signal_levels
from sgbench.samplers.settings import Fresh, Prediction, SamplerKind

if TYPE_CHECKING:
    from torch import Tensor


def sample_ddpm(noise_of: Prediction, noise: Tensor, timesteps: Sequence[int], fresh: Fresh) -> Tensor:
    """From unit noise (B, C, H, W) to the image by ancestral sampling, nothing clipped; no noise in the last step.

    `timesteps` ascend within 0..999 and are the process from there on: its betas are recomputed from the signal levels
    at them. `noise_of(x, timestep, step)` is (B, 2 C, H, W): the predicted noise, then where between the smallest (-1)
    and the largest (1) the logarithm of the variance lies (arXiv 2102.09672, eq. 15). `fresh(step)` is unit noise.
    """
    levels = signal_levels(timesteps).tolist()
    befores = [1.0, *levels[:-1]]
    betas = [1 - level / before for level, before in zip(levels, befores, strict=True)]
    smallest = [beta * (1 - b) / (1 - a) for beta, a, b in zip(betas, levels, befores, strict=True)]
    # The first posterior variance is 0, which has no logarithm; its neighbour's is used instead.
    smallest[0] = smallest[1] if len(smallest) > 1 else betas[0]
    x = noise
    for step, index in enumerate(reversed(range(len(timesteps)))):
        level, before, beta = levels[index], befores[index], betas[index]
        epsilon, between = noise_of(x, timesteps[index], step).chunk(2, dim=1)
        image = image_of(x, epsilon, level)
        mean = before**0.5 * beta / (1 - level) * image + (1 - beta) ** 0.5 * (1 - before) / (1 - level) * x
        x = mean
        if index:
            share = (between + 1) / 2
            logarithm = share * math.log(beta) + (1 - share) * math.log(smallest[index])
            x = mean + (logarithm / 2).exp() * fresh(step)
    return x


SAMPLER = SamplerKind(
    name="ddpm",
    title="DDPM, linear betas, learned variance",
    source="arXiv 2006.11239 and 2102.09672",
    works=("ho2020ddpm", "nichol2021iddpm"),
    rank=50,
    clock="discrete",
    most_steps=TRAINED_STEPS,
    needs_variance=True,
    moments=lambda sampler: at_timesteps(sampler.steps),
    solve=lambda sampler, noise_of, noise, fresh: sample_ddpm(noise_of, noise, kept_timesteps(sampler.steps), fresh),
)
