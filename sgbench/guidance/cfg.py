"""Classifier-free guidance: away from the unconditional prediction."""

from sgbench.guidance.branches import Branch, Rule

RULE = Rule(
    name="cfg",
    title="CFG",
    source="Ho and Salimans, arXiv 2207.12598",
    formula="v(null) + w (v(c) - v(null))",
    strong=Branch(),
    weak=Branch(condition="null"),
)
