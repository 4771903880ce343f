"""Tangential amplifying guidance (TAG): longer steps across the direction of the state, as long along it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sgbench.guidance.branches import Branch, Predictions, Rule, Step, Style
from sgbench.guidance.formulas import along

if TYPE_CHECKING:
    from torch import Tensor


def amplify(predictions: Predictions, step: Step) -> Tensor:
    """strong + (w - 1) (strong - its part along x), per sample (B, C, H, W), in float64.

    A step adds a multiple of the state and one of the prediction, so its part across the state grows by w.
    """
    strong = predictions["strong"].double()
    across = strong - along(strong, step.x.double())
    return (strong + (step.scale - 1) * across).to(predictions["strong"].dtype)


RULE = Rule(
    name="tag",
    title="TAG",
    source="Cho et al., arXiv 2510.04533",
    works=("cho2026tag",),
    style=Style("#56B4E9", "h", "-."),
    rank=180,
    formula="v(c) + (w - 1) (v(c) - P v(c)), P the projection on the state x",
    strong=Branch(sparsity="strong"),
    gammas_default=0.0,
    combine=amplify,
    space="native",
    scale_default=1.05,
    note="the same in every space; w is the paper's eta, 1.05 with flow matching and 1.15 with DDIM; unlike TCFG, "
    "which also speaks of tangents, it needs no second prediction",
)
