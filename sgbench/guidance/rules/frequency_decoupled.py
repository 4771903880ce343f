"""Frequency-decoupled guidance (FDG): CFG with one scale for high frequencies and a smaller one for low ones."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sgbench.guidance.branches import Branch, Parameter, Predictions, Rule, Step, Style
from sgbench.guidance.formulas import constant

if TYPE_CHECKING:
    from torch import Tensor

# Blurs by the five weights of Burt and Adelson's pyramid.
WEIGHTS = (1 / 16, 4 / 16, 6 / 16, 4 / 16, 1 / 16)


def decouple(predictions: Predictions, step: Step) -> Tensor:
    """strong + (w - 1) (d - (1 - low_share) L d), d = strong - weak (B, C, H, W), L the low level of a pyramid.

    CFG with scales of their own on the two levels of Laplacian pyramids adds up to this: all parts are linear.
    """
    strong = predictions["strong"]
    difference = strong - predictions["weak"]
    rows, columns = (constant(low_pass, side, difference.dtype, difference.device) for side in difference.shape[-2:])
    low = rows @ difference @ columns.T
    return strong + (step.scale - 1) * (difference - (1 - step.parameters["low_share"]) * low)


def low_pass(side: int) -> Tensor:
    """What a pyramid's lower level holds of a row of `side` pixels, as a matrix (side, side) in float64.

    Blurred, brought to half the size, back, and blurred again; the image is mirrored at its border.
    """
    import torch

    blur = torch.zeros(side, side, dtype=torch.float64)
    period = max(1, 2 * (side - 1))
    for place in range(side):
        for offset, weight in enumerate(WEIGHTS, start=-2):
            mirrored = (place + offset) % period
            blur[place, min(mirrored, period - mirrored)] += weight
    half = max(1, side // 2)
    return blur @ resize(half, side) @ resize(side, half) @ blur


def resize(source: int, target: int) -> Tensor:
    """Linear interpolation between the centres of `source` pixels, as a matrix (target, source) in float64."""
    import torch

    matrix = torch.eye(source, dtype=torch.float64)[None]
    return torch.nn.functional.interpolate(matrix, size=target, mode="linear")[0].T


RULE = Rule(
    name="fdg",
    title="FDG",
    source="Sadat et al., arXiv 2506.19713",
    works=("sadat2025fdg",),
    style=Style("#E69F00", "v", "-."),
    rank=114,
    formula="v(null) + w_high H d + w_low L d, d = v(c) - v(null), L + H = 1 by a Laplacian pyramid, "
    "w_high = w, w_low = 1 + low_share (w - 1)",
    strong=Branch(sparsity="strong"),
    weak=Branch(condition="null", sparsity="weak"),
    gammas_default=0.0,
    combine=decouple,
    space="native",
    parameters=(Parameter("low_share", "share of w - 1 on low frequencies; 1 for CFG", 0, 1, default=4 / 9),),
    scale_default=10.0,
    note="the same in every space; the defaults, w_high 10 and w_low 5, are the paper's for SDXL; two levels, as in "
    "diffusers",
)
