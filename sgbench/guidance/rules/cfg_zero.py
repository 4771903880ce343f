"""CFG-Zero*: the weak velocity is scaled to fit the strong one best, and the first steps stand still."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sgbench.guidance.branches import Branch, Parameter, Predictions, Rule, Step, Style
from sgbench.guidance.formulas import along, combine

if TYPE_CHECKING:
    from torch import Tensor

ZERO_STEPS = "zero_steps"


def fit(predictions: Predictions, step: Step) -> Tensor:
    """s weak + w (strong - s weak), s = <strong, weak> / |weak|^2 per sample (B, C, H, W)."""
    strong, weak = predictions["strong"], predictions["weak"]
    return combine(strong, along(strong, weak), step.scale)


RULE = Rule(
    name="cfg-zero",
    title="CFG-Zero*",
    source="Fan et al., arXiv 2503.18886",
    works=("fan2025cfgzero",),
    style=Style("#E69F00", "h", "--"),
    rank=100,
    formula="s v(null) + w (v(c) - s v(null)), s = <v(c), v(null)> / |v(null)|^2; 0 in the first steps",
    strong=Branch(sparsity="strong"),
    weak=Branch(condition="null", sparsity="weak"),
    gammas_default=0.0,
    combine=fit,
    space="velocity",
    parameters=(
        Parameter(ZERO_STEPS, "steps at the start whose velocity is 0 and that call nothing", default=1, whole=True),
    ),
    note="made for flow matching; one zero step is the authors' default",
)
