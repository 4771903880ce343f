"""DDIM without noise on a process of 1,000 steps with linear betas, as DiT and MDTv2 were trained."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

TRAINED_STEPS, BETA_START, BETA_END = 1000, 1e-4, 0.02


def kept_timesteps(steps: int) -> list[int]:
    """Timesteps visited, ascending: `steps` of the 1,000 at an even, rounded stride, both ends included.

    The spacing of improved DDPM (arXiv 2102.09672), as DiT's sampler uses it.
    """
    stride = (TRAINED_STEPS - 1) / (steps - 1) if steps > 1 else 1.0
    return [round(index * stride) for index in range(steps)]


def signal_levels(timesteps: list[int]) -> Tensor:
    """Cumulative products of 1 - beta at the given timesteps, float64."""
    betas = torch.linspace(BETA_START, BETA_END, TRAINED_STEPS, dtype=torch.float64)
    return torch.cumprod(1 - betas, dim=0)[timesteps]


def sample_ddim(noise_of: Callable[[Tensor, int, int], Tensor], noise: Tensor, steps: int) -> Tensor:
    """From unit noise (B, C, H, W) to the image, eta 0 and no clipping (arXiv 2010.02502, eq. 12).

    `noise_of(x, timestep, step)` is the predicted noise at a timestep in 0..999.
    """
    timesteps = kept_timesteps(steps)
    levels = signal_levels(timesteps).tolist()
    x = noise
    for step, index in enumerate(reversed(range(steps))):
        level, before = levels[index], levels[index - 1] if index else 1.0
        epsilon = noise_of(x, timesteps[index], step)
        image = (x - (1 - level) ** 0.5 * epsilon) / level**0.5
        x = before**0.5 * image + (1 - before) ** 0.5 * epsilon
    return x
