"""DDIM without noise on a process of 1,000 steps with linear betas, as DiT and MDTv2 were trained."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from torch import Tensor

from sgbench.samplers.discrete import image_of, signal_levels


def sample_ddim(noise_of: Callable[[Tensor, int, int], Tensor], noise: Tensor, timesteps: Sequence[int]) -> Tensor:
    """From unit noise (B, C, H, W) to the image, eta 0 and no clipping (arXiv 2010.02502, eq. 12).

    `timesteps` ascend within 0..999; `noise_of(x, timestep, step)` is the predicted noise at one of them.
    """
    levels = signal_levels(timesteps).tolist()
    x = noise
    for step, index in enumerate(reversed(range(len(timesteps)))):
        level, before = levels[index], levels[index - 1] if index else 1.0
        epsilon = noise_of(x, timesteps[index], step)
        x = before**0.5 * image_of(x, epsilon, level) + (1 - before) ** 0.5 * epsilon
    return x
