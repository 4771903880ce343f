"""MAMBO-G: CFG whose scale falls where the two predictions are far apart."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sgbench.guidance.branches import Branch, Parameter, Predictions, Rule, Step, Style

if TYPE_CHECKING:
    from torch import Tensor

# Of |weak|: far below that of any prediction, and above 0.
LEAST = 1e-19


def damp(predictions: Predictions, step: Step) -> Tensor:
    """weak + (1 + (w - 1) exp(-damping |strong - weak| / |weak|)) (strong - weak), norms per sample (B, C, H, W)."""
    strong, weak = predictions["strong"], predictions["weak"]
    dims = tuple(range(1, strong.ndim))
    difference = strong - weak
    away, length = (one.square().sum(dims, keepdim=True).sqrt() for one in (difference, weak))
    # Fresh networks predict nothing but zeros.
    ratio = away / length.clamp(min=LEAST)
    push = (step.scale - 1) * (-step.parameters["damping"] * ratio).exp()
    return strong + push * difference


RULE = Rule(
    name="mambo-g",
    title="MAMBO-G",
    source="Zhu et al., arXiv 2508.03442",
    works=("zhu2026mambog",),
    style=Style("#D55E00", "d", "-."),
    rank=112,
    formula="v(null) + (1 + (w - 1) exp(-a r)) (v(c) - v(null)), r = |v(c) - v(null)| / |v(null)|",
    strong=Branch(sparsity="strong"),
    weak=Branch(condition="null", sparsity="weak"),
    gammas_default=0.0,
    combine=damp,
    space="native",
    parameters=(Parameter("damping", "a, how fast the scale falls with r; 0 for CFG", default=8.0),),
    scale_default=10.0,
    note="w 10 and a 8 are the authors' defaults, for text to image",
)
