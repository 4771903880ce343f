"""Adaptive projected guidance: keep what is orthogonal to the conditional image, damp what is along it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sgbench.guidance.branches import Branch, Parameter, Predictions, Rule, Step, Style
from sgbench.guidance.formulas import along

if TYPE_CHECKING:
    from torch import Tensor


def project(predictions: Predictions, step: Step) -> Tensor:
    """strong + (w - 1) (orthogonal + eta parallel), on denoised images (B, C, H, W).

    The difference strong - weak first takes in `momentum` times what it was one evaluation before, and is then cut to
    `norm_limit` per sample (0: no limit). The projection is computed in float64, as the authors do.
    """
    strong = predictions["strong"]
    eta, momentum, limit = (float(step.parameters[name]) for name in ("eta", "momentum", "norm_limit"))
    difference = (strong - predictions["weak"]).double()
    if momentum:
        if "difference" in step.memory:
            difference = difference + momentum * step.memory["difference"]
        step.memory["difference"] = difference
    dims = tuple(range(1, strong.ndim))
    if limit:
        norm = difference.square().sum(dims, keepdim=True).sqrt()
        difference = difference * (limit / norm).clamp(max=1)
    image = strong.double()
    parallel = along(difference, image)
    return (image + (step.scale - 1) * (difference - parallel + eta * parallel)).to(strong.dtype)


RULE = Rule(
    name="apg",
    title="APG",
    source="Sadat et al., arXiv 2410.02416",
    works=("sadat2025apg",),
    style=Style("#D55E00", "p", "--"),
    rank=80,
    formula="x0(c) + (w - 1) (d_orth + eta d_par), d = clip(x0(c) - x0(null) + momentum d_before, norm_limit)",
    strong=Branch(sparsity="strong"),
    weak=Branch(condition="null", sparsity="weak"),
    gammas_default=0.0,
    combine=project,
    space="image",
    parameters=(
        Parameter("eta", "share kept of the part along the conditional image", 0, 1, default=0.0),
        Parameter("momentum", "weight of the difference one evaluation before; 0 for none", -1, 1, default=-0.5),
        Parameter("norm_limit", "largest norm of the difference per sample; 0 for no limit", default=0.0),
    ),
    note="eta 1, momentum 0 and no limit are CFG; the paper's norm limits depend on the model",
)
