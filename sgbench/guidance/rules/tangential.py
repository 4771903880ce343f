"""Tangential damping (TCFG): the unconditional prediction loses what is not along the pair's main direction."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sgbench.guidance.branches import Branch, Predictions, Rule, Step, Style
from sgbench.guidance.formulas import along, combine

if TYPE_CHECKING:
    from torch import Tensor


def damp(predictions: Predictions, step: Step) -> Tensor:
    """CFG with `weak` projected on the first right singular vector of [strong; weak], per sample (B, C, H, W).

    The vector comes from the 2 x 2 matrix of inner products: its main axis lies at angle theta, tan 2 theta =
    2 <s, w> / (<s, s> - <w, w>), and the singular vector is along cos(theta) s + sin(theta) w. Sums in float64.
    """
    strong, weak = predictions["strong"], predictions["weak"]
    dims = tuple(range(1, strong.ndim))
    s, w = strong.double(), weak.double()
    ss, sw, ww = ((a * b).sum(dims, keepdim=True) for a, b in ((s, s), (s, w), (w, w)))
    theta = (2 * sw).atan2(ss - ww) / 2
    main = theta.cos() * s + theta.sin() * w
    return combine(strong, along(w, main).to(strong.dtype), step.scale)


RULE = Rule(
    name="tcfg",
    title="TCFG",
    source="Kwon et al., arXiv 2503.18137",
    works=("kwon2025tcfg",),
    style=Style("#E69F00", ">", ":"),
    rank=110,
    formula="P v(null) + w (v(c) - P v(null)), P the projection on the first right singular vector of [v(c); v(null)]",
    strong=Branch(sparsity="strong"),
    weak=Branch(condition="null", sparsity="weak"),
    gammas_default=0.0,
    combine=damp,
    space="native",
)
