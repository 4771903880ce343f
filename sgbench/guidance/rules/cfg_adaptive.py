"""Adaptive guidance: CFG until both predictions of an image point the same way, then the conditional one alone."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sgbench.guidance.branches import Branch, Parameter, Predictions, Rule, Step, Style

if TYPE_CHECKING:
    from torch import Tensor


def aligned(predictions: Predictions, step: Step) -> Tensor:
    """Whether the cosine between the predictions, as the model makes them, has reached `cosine`, per sample (B,)."""
    from torch.nn.functional import cosine_similarity

    strong, weak = (predictions[name].flatten(1).double() for name in ("strong", "weak"))
    return cosine_similarity(strong, weak) >= step.parameters["cosine"]


RULE = Rule(
    name="cfg-adaptive",
    title="Adaptive CFG",
    source="Castillo et al., arXiv 2312.12487",
    works=("castillo2025adaptive",),
    style=Style("#CC79A7", "P", "-."),
    rank=12,
    formula="v(null) + w (v(c) - v(null)) until cos(v(c), v(null)) reaches a threshold, then v(c)",
    strong=Branch(sparsity="strong"),
    weak=Branch(condition="null", sparsity="weak"),
    gammas_default=0.0,
    stop=aligned,
    parameters=(
        Parameter("cosine", "what ends guidance of an image, from the next evaluation on", 0, 1, default=0.991),
    ),
    note="0.991 is the paper's, for predictions of noise: of velocities or images the same threshold is another one; "
    "what an image costs depends on the image",
)
