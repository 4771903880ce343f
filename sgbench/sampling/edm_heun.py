"""EDM's deterministic sampler: Heun's method in the noise level sigma, without churn."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

SIGMA_MAX, SIGMA_MIN, RHO = 80.0, 0.002, 7.0


def noise_levels(steps: int) -> list[float]:
    """steps + 1 noise levels from SIGMA_MAX to SIGMA_MIN and then 0 (arXiv 2206.00364, eq. 5)."""
    ends = SIGMA_MAX ** (1 / RHO), SIGMA_MIN ** (1 / RHO)
    shares = [index / (steps - 1) if steps > 1 else 0.0 for index in range(steps)]
    return [(ends[0] + share * (ends[1] - ends[0])) ** RHO for share in shares] + [0.0]


def sample_edm_heun(denoise: Callable[[Tensor, float, int], Tensor], noise: Tensor, steps: int) -> Tensor:
    """Integrate from unit noise (B, C, H, W) to the image; the state is kept in float64 (arXiv 2206.00364, alg. 1).

    `denoise(x, sigma, evaluation)` is the denoised image; evaluations are counted from 0.
    """
    levels = noise_levels(steps)
    x = noise.to(torch.float64) * levels[0]
    for step in range(steps):
        here, there = levels[step], levels[step + 1]
        slope = (x - denoise(x, here, 2 * step)) / here
        ahead = x + (there - here) * slope
        if there > 0:
            corrected = (ahead - denoise(ahead, there, 2 * step + 1)) / there
            ahead = x + (there - here) * (slope + corrected) / 2
        x = ahead
    return x
