"""History-guided sampling (HiGS): away from an average of past predictions, in high frequencies alone."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from sgbench.guidance.branches import Branch, Parameter, Predictions, Rule, Step, Style
from sgbench.guidance.formulas import along, constant

if TYPE_CHECKING:
    from torch import Tensor

# Of the sigmoid between what is cut and what passes; the paper's, for all models.
SHARPNESS = 50.0


def leave_the_past(predictions: Predictions, step: Step) -> Tensor:
    """image + (w - 1) sqrt((t - t_min) / (1 - t_min)) F(image - past), on denoised images (B, C, H, W), in float64.

    `past` moves by `average` towards each image, from 0 before the first, which is not guided; at t_min and below
    nothing is. F leaves out the part along the image but for `eta`, and then low frequencies.
    """
    strong = predictions["strong"]
    eta, average, least, cutoff = (step.parameters[name] for name in ("eta", "average", "t_min", "cutoff"))
    image, past = strong.double(), step.memory.get("past")
    step.memory["past"] = average * image if past is None else average * image + (1 - average) * past
    if past is None or step.time <= least:
        return strong
    difference = image - past
    difference = difference - (1 - eta) * along(difference, image)
    push = (step.scale - 1) * math.sqrt((step.time - least) / (1 - least))
    return (image + push * high_pass(difference, cutoff)).to(strong.dtype)


def high_pass(x: Tensor, cutoff: float) -> Tensor:
    """x (B, C, H, W) with the weight sigmoid(50 (r - cutoff)) on each cosine, r its distance from the constant one.

    The cosines are those of the orthonormal DCT-II, u of H and v of W; r^2 = (u / H)^2 + (v / W)^2.
    """
    import torch

    rows, columns = (constant(cosines, side, x.dtype, x.device) for side in x.shape[-2:])
    shares = [torch.arange(side, device=x.device, dtype=x.dtype) / side for side in x.shape[-2:]]
    weight = torch.sigmoid(SHARPNESS * (torch.hypot(shares[0][:, None], shares[1]) - cutoff))
    return rows.T @ (weight * (rows @ x @ columns.T)) @ columns


def cosines(side: int) -> Tensor:
    """The orthonormal matrix of the DCT-II (frequencies, places), in float64."""
    import torch

    places = torch.arange(side, dtype=torch.float64)
    waves = torch.cos(math.pi / side * places[:, None] * (places + 0.5))
    waves[0] /= math.sqrt(2)
    return waves * math.sqrt(2 / side)


RULE = Rule(
    name="higs",
    title="HiGS",
    source="Sadat et al., arXiv 2509.22300",
    works=("sadat2026higs",),
    style=Style("#56B4E9", "d", ":"),
    rank=160,
    formula="x0 + (w - 1) sqrt((t - t_min) / (1 - t_min)) F(x0 - mean of x0 before), F a high-pass filter",
    strong=Branch(sparsity="strong"),
    gammas_default=0.0,
    combine=leave_the_past,
    space="image",
    parameters=(
        Parameter("eta", "share kept of the part along the image", 0, 1, default=1.0),
        Parameter("average", "weight of the newest image in the mean of those before", 0.01, 1, default=0.75),
        Parameter("t_min", "time, 1 being noise, from which on nothing is guided", 0, 0.99, default=0.4),
        Parameter("cutoff", "where the filter lets half pass, as a share of the highest frequency", 0, 2, default=0.05),
    ),
    scale_default=2.0,
    note="w - 1 is the paper's weight; the defaults are its settings for SiT-XL without CFG, 40 steps",
)
