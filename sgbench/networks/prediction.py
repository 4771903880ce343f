"""From a network's raw output to what samplers and guidance use: velocity, denoised image or noise."""

import math
from typing import assert_never

import torch
from torch import Tensor

from sgbench.guidance.perturbation import Perturbation
from sgbench.models.family import Prediction
from sgbench.networks.denoiser import Denoiser
from sgbench.samplers.clocks import image_of, signal_levels


def predict(
    network: Denoiser,
    kind: Prediction,
    sigma_data: float,
    x: Tensor,
    level: float,
    condition: Tensor,
    tokens: Tensor | None,
    perturbation: Perturbation | None = None,
    variance: bool = False,
    inner: bool = False,
) -> Tensor:
    """The prediction of one branch (B, C, H, W) in the terms of `kind`, in the dtype of x; of edm in float32.

    `level` is t in [0, 1] with noise at 1 for both velocities, sigma for edm (which predicts the denoised image),
    and a timestep in 0..999 for epsilon. x is (B, C, H, W) of any floating dtype; the network sees float32. Channels
    beyond C, where a network also predicts a variance, are dropped unless `variance` asks for them. With `inner` the
    network's inner head predicts, too, in the same call: (2, B, C, H, W), the last layer's prediction first.
    """
    given, channels = x.float(), x.shape[1]

    def raw(x: Tensor, time: float) -> Tensor:
        # One row of time for all samples: its embedding is computed once.
        times = torch.full((1,), time, device=x.device)
        if not inner:
            return network(x, times, condition, tokens, perturbation).float()
        return torch.stack(network(x, times, condition, tokens, perturbation, inner=True)).float()

    match kind:
        case "edm":
            # EDM's preconditioned denoiser (arXiv 2206.00364, table 1).
            total = level**2 + sigma_data**2
            output = raw(given / math.sqrt(total), math.log(level) / 4)[..., :channels, :, :]
            return sigma_data**2 / total * given + level * sigma_data / math.sqrt(total) * output
        case "velocity" | "epsilon":
            found = raw(given, level)
        case "velocity-from-noise":
            # SiT's clock runs the other way, and so does its velocity.
            found = -raw(given, 1 - level)
        case _:
            assert_never(kind)
    return (found if variance else found[..., :channels, :, :]).to(x.dtype)


def to_image(kind: Prediction, prediction: Tensor, x: Tensor, level: float) -> Tensor:
    """The denoised image that corresponds to a prediction at x and its level."""
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
    """The prediction that corresponds to a denoised image: the inverse of `to_image`."""
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
