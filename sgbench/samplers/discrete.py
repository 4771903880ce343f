"""The discrete process of 1,000 steps with linear betas that DiT and MDTv2 were trained on."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from sgbench.samplers.clocks import BETA_END, BETA_START, TRAINED_STEPS


def signal_levels(timesteps: Sequence[int]) -> Tensor:
    """Cumulative products of 1 - beta at the given timesteps, float64."""
    betas = torch.linspace(BETA_START, BETA_END, TRAINED_STEPS, dtype=torch.float64)
    return torch.cumprod(1 - betas, dim=0)[list(timesteps)]


def image_of(x: Tensor, epsilon: Tensor, level: float) -> Tensor:
    """The image that x = sqrt(level) image + sqrt(1 - level) epsilon holds."""
    return (x - (1 - level) ** 0.5 * epsilon) / level**0.5
