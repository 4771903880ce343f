"""From a network's raw output to what samplers and guidance work on: velocity, denoised image or noise."""

from __future__ import annotations

import math
from typing import assert_never

import torch
from torch import Tensor

from sgbench.guidance.perturbation import Perturbation
from sgbench.models.family import Prediction
from sgbench.networks.denoiser import Denoiser
from sgbench.samplers.discrete import image_of, signal_levels


def predict(
    network: Denoiser,
    kind: Prediction,
    sigma_data: float,
    x: Tensor,
    level: float,
    condition: Tensor,
    tokens: Tensor | None,
    change: Perturbation | None = None,
    variance: bool = False,
) -> Tensor:
    """The prediction of one branch (B, C, H, W) in the terms of `kind`, in the dtype of x; of edm in float32.

    `level` is t in [0, 1] with noise at 1 for both velocities, sigma for edm (which predicts the denoised image),
    and a timestep in 0..999 for epsilon. x is (B, C, H, W) of any floating dtype; the network sees float32. Channels
    beyond C, where a network also predicts a variance, are dropped unless `variance` asks for them.
    """
    match kind:
        case "edm":
            return _denoised(network, sigma_data, x, level, condition, tokens, change)
        case "velocity" | "epsilon":
            raw = _call(network, x.float(), level, condition, tokens, change)
        case "velocity-from-noise":
            # SiT's clock runs the other way, and so does its velocity.
            raw = -_call(network, x.float(), 1 - level, condition, tokens, change)
        case _:
            assert_never(kind)
    return (raw if variance else raw[:, : x.shape[1]]).to(x.dtype)


def to_image(kind: Prediction, prediction: Tensor, x: Tensor, level: float) -> Tensor:
    """The denoised image that a prediction stands for, at the same x and level."""
    match kind:
        case "edm":
            return prediction
        case "epsilon":
            return image_of(x, prediction, _signal(level))
        case "velocity" | "velocity-from-noise":
            return x - level * prediction
        case _:
            assert_never(kind)


def from_image(kind: Prediction, image: Tensor, x: Tensor, level: float) -> Tensor:
    """The prediction that stands for a denoised image: the inverse of `to_image`."""
    match kind:
        case "edm":
            return image
        case "epsilon":
            signal = _signal(level)
            return (x - signal**0.5 * image) / (1 - signal) ** 0.5
        case "velocity" | "velocity-from-noise":
            return (x - image) / level
        case _:
            assert_never(kind)


def _signal(timestep: float) -> float:
    return float(signal_levels([int(timestep)])[0])


def _denoised(
    network: Denoiser,
    sigma_data: float,
    x: Tensor,
    sigma: float,
    condition: Tensor,
    tokens: Tensor | None,
    change: Perturbation | None,
) -> Tensor:
    """EDM's preconditioned denoiser (arXiv 2206.00364, table 1)."""
    total = sigma**2 + sigma_data**2
    x = x.float()
    raw = _call(network, x / math.sqrt(total), math.log(sigma) / 4, condition, tokens, change)[:, : x.shape[1]]
    return sigma_data**2 / total * x + sigma * sigma_data / math.sqrt(total) * raw


def _call(
    network: Denoiser,
    x: Tensor,
    time: float,
    condition: Tensor,
    tokens: Tensor | None,
    change: Perturbation | None,
) -> Tensor:
    # One row of time for all samples: its embedding is computed once.
    return network(x, torch.full((1,), time, device=x.device), condition, tokens, change).float()
