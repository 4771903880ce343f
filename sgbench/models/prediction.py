"""From a network's raw output to what samplers and guidance work on: velocity, denoised image or noise."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from sgbench.models.denoiser import Denoiser
from sgbench.models.families.family import Prediction


def predict(
    network: Denoiser,
    kind: Prediction,
    sigma_data: float,
    x: Tensor,
    level: float,
    condition: Tensor,
    tokens: Tensor | None,
) -> Tensor:
    """The prediction of one branch (B, C, H, W), float32, in the terms of `kind`.

    `level` is t in [0, 1] with noise at 1 for both velocities, sigma for edm (which predicts the denoised image),
    and a timestep in 0..999 for epsilon. x is (B, C, H, W) of any floating dtype. Channels beyond C, where a
    network also predicts a variance, are dropped.
    """
    if kind == "edm":
        return _denoised(network, sigma_data, x, level, condition, tokens)
    # SiT's clock runs the other way, and so does its velocity.
    at = 1 - level if kind == "velocity-from-noise" else level
    raw = _call(network, x.float(), at, condition, tokens)
    return -raw if kind == "velocity-from-noise" else raw


def _denoised(
    network: Denoiser, sigma_data: float, x: Tensor, sigma: float, condition: Tensor, tokens: Tensor | None
) -> Tensor:
    """EDM's preconditioned denoiser (arXiv 2206.00364, table 1)."""
    total = sigma**2 + sigma_data**2
    x = x.float()
    raw = _call(network, x / math.sqrt(total), math.log(sigma) / 4, condition, tokens)
    return sigma_data**2 / total * x + sigma * sigma_data / math.sqrt(total) * raw


def _call(network: Denoiser, x: Tensor, time: float, condition: Tensor, tokens: Tensor | None) -> Tensor:
    times = torch.full((len(x),), time, device=x.device)
    return network(x, times, condition, tokens)[:, : x.shape[1]].float()
