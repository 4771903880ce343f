"""DDIM without noise on a process of 1,000 steps with linear betas, as DiT and MDTv2 were trained."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from sgbench.samplers.clocks import TRAINED_STEPS, at_timesteps, image_of, kept_timesteps, signal_levels
from sgbench.samplers.settings import Pair, Prediction, SamplerKind

if TYPE_CHECKING:
    from torch import Tensor


def sample_ddim(noise_of: Prediction, noise: Tensor, timesteps: Sequence[int]) -> Tensor:
    """From unit noise (B, C, H, W) to the image, eta 0 and no clipping (arXiv 2010.02502, eq. 12).

    `timesteps` ascend within 0..999; `noise_of(x, timestep, step)` is the predicted noise at one of them.
    """

    def twice(x: Tensor, level: float, step: int) -> tuple[Tensor, Tensor]:
        epsilon = noise_of(x, level, step)
        return epsilon, epsilon

    return sample_ddim_plus_plus(twice, noise, timesteps)


def sample_ddim_plus_plus(pair: Pair, noise: Tensor, timesteps: Sequence[int]) -> Tensor:
    """CFG++ (Chung et al., arXiv 2406.08070): DDIM's image from the guided noise, its noise the unconditional one."""
    levels = signal_levels(timesteps).tolist()
    x = noise
    for step, index in enumerate(reversed(range(len(timesteps)))):
        level, before = levels[index], levels[index - 1] if index else 1.0
        guided, null = pair(x, timesteps[index], step)
        x = before**0.5 * image_of(x, guided, level) + (1 - before) ** 0.5 * null
    return x


SAMPLER = SamplerKind(
    name="ddim",
    title="DDIM, eta 0, linear betas",
    source="arXiv 2010.02502",
    works=("song2021ddim",),
    rank=40,
    clock="discrete",
    most_steps=TRAINED_STEPS,
    moments=lambda sampler: at_timesteps(sampler.steps),
    solve=lambda sampler, noise_of, noise, fresh: sample_ddim(noise_of, noise, kept_timesteps(sampler.steps)),
    solve_plus_plus=lambda sampler, pair, noise: sample_ddim_plus_plus(pair, noise, kept_timesteps(sampler.steps)),
)
