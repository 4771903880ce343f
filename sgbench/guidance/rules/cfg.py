"""Classifier-free guidance: away from the unconditional prediction."""

from sgbench.guidance.branches import Branch, Rule, Style

RULE = Rule(
    name="cfg",
    title="CFG",
    source="Ho and Salimans, arXiv 2207.12598",
    works=("ho2022cfg",),
    style=Style("#D55E00", "s"),
    rank=10,
    formula="v(null) + w (v(c) - v(null))",
    strong=Branch(),
    weak=Branch(condition="null"),
)
