"""EDM's sampler: Heun's method in the noise level sigma, with or without churn."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

import torch
from torch import Tensor


def sample_edm_heun(
    denoise: Callable[[Tensor, float, int], Tensor],
    noise: Tensor,
    levels: Sequence[float],
    raised: Sequence[float] | None = None,
    fresh: Callable[[int], Tensor] | None = None,
) -> Tensor:
    """From unit noise (B, C, H, W) to the image; the state is kept in float64 (arXiv 2206.00364, algorithms 1 and 2).

    `levels` fall to 0. `denoise(x, sigma, evaluation)` is the denoised image; evaluations are counted from 0. With
    churn, step i first raises the noise from levels[i] to raised[i] by `fresh(step)`, noise of the wanted deviation.
    """
    x = noise.to(torch.float64) * levels[0]
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
