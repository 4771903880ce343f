"""The laws of a model's clock: what a perfect denoiser predicts is known for pure noise, and for images with noise."""

import math
from typing import Final, assert_never

import torch
from torch import Tensor

from sgbench.conformance.law import BrokenError, Law, NotApplicableError
from sgbench.conformance.model_case import ModelCase
from sgbench.models.family import Prediction
from sgbench.networks.prediction import predict
from sgbench.samplers.catalogue import SAMPLERS
from sgbench.samplers.clocks import SIGMA_MAX, TRAINED_STEPS, signal_levels
from sgbench.samplers.settings import Sampler

# How far the shares of image and noise in a prediction may lie from those of a perfect denoiser. Another prediction,
# sign or clock moves one of them by a half in pure noise, and by 1 half way, where networks see less well.
IN_NOISE, HALF_WAY = 0.3, 0.5
IMAGES, STEPS = 4, 6
FIRST: Final[dict[Prediction, float]] = {
    "velocity": 1.0,
    "velocity-from-noise": 1.0,
    "edm": SIGMA_MAX,
    "epsilon": TRAINED_STEPS - 1,
}
MIDDLE: Final[dict[Prediction, float]] = {"velocity": 0.5, "velocity-from-noise": 0.5, "edm": 0.5, "epsilon": 400}
"""Levels at which both the image and the noise are known well. At an image itself nobody knows its noise."""
SHARES: Final[dict[Prediction, tuple[int, int]]] = {
    "velocity": (-1, 1),
    "velocity-from-noise": (-1, 1),
    "edm": (1, 0),
    "epsilon": (0, 1),
}
"""How often the image and the noise are in a prediction, as samplers are given it."""


def _first(case: ModelCase) -> None:
    noise, level = _prepared(case), FIRST[case.kind]
    zeros = torch.zeros_like(noise)
    prediction = _predicted(case, _mixed(case.kind, zeros, noise, level), level).double()
    share = float((prediction * noise).sum() / noise.double().square().sum())
    wanted = SHARES[case.kind][1]
    if not abs(share - wanted) <= IN_NOISE:
        raise BrokenError(f"in pure noise the prediction holds {share:.2f} times the noise, not {wanted}")


def _half_way(case: ModelCase) -> None:
    noise, level = _prepared(case), MIDDLE[case.kind]
    image, wanted = _images(case, noise), SHARES[case.kind]
    fresh = case.x(range(50, 50 + IMAGES))
    prediction = _predicted(case, _mixed(case.kind, image, fresh, level), level)
    parts = torch.stack([image.flatten(), fresh.flatten()], dim=1).double()
    shares = torch.linalg.lstsq(parts, prediction.double().flatten()[:, None]).solution.flatten().tolist()
    if not all(abs(found - right) <= HALF_WAY for found, right in zip(shares, wanted, strict=True)):
        raise BrokenError(
            f"in images of its own with noise, at the level {level:g}, the prediction holds {shares[0]:.2f} times the "
            f"image and {shares[1]:.2f} times the noise, not {wanted[0]} and {wanted[1]}"
        )


def _prepared(case: ModelCase) -> Tensor:
    if case.info.random:
        raise NotApplicableError("its weights are random")
    return case.x(range(IMAGES))


def _mixed(kind: Prediction, image: Tensor, noise: Tensor, level: float) -> Tensor:
    """An image with noise at a level, as the process of a prediction has it."""
    match kind:
        case "velocity" | "velocity-from-noise":
            return (1 - level) * image + level * noise
        case "edm":
            return image + level * noise
        case "epsilon":
            signal = float(signal_levels([int(level)])[0])
            return math.sqrt(signal) * image + math.sqrt(1 - signal) * noise
        case _:
            assert_never(kind)


def _predicted(case: ModelCase, x: Tensor, level: float) -> Tensor:
    family = case.info.family
    with torch.inference_mode():
        return predict(case.network, case.kind, family.sigma_data, x, level, case.condition(range(len(x))), None)


def _images(case: ModelCase, noise: Tensor) -> Tensor:
    """What the model itself draws, unguided, in a few steps."""
    kind = next(SAMPLERS[name] for name in case.info.family.samplers if not SAMPLERS[name].needs_variance)

    def prediction(x: Tensor, level: float, number: int) -> Tensor:
        return _predicted(case, x, level)

    def fresh(step: int) -> Tensor:
        return case.x(range(100 + IMAGES * step, 100 + IMAGES * (step + 1)))

    return kind.solve(Sampler(kind.name, STEPS), prediction, noise, fresh).float()


LAWS: Final[tuple[Law[ModelCase], ...]] = (
    Law("in pure noise, where sampling begins, it predicts what its clock says", _first),
    Law("in images half noise, it predicts what its clock says", _half_way),
)
