"""Sparse Guidance: away from a sparser prediction of the same checkpoint, both conditional."""

from sgbench.guidance.branches import Branch, Rule, Style

RULE = Rule(
    name="sg",
    title="SG",
    source="arXiv 2601.01608, eq. 6 and 7",
    works=("krause2026sparseguidance",),
    style=Style("#0072B2", "^"),
    rank=40,
    example={"gamma_strong": 0.5, "gamma_weak": 0.9},
    formula="v(c; gamma_weak) + w (v(c; gamma_strong) - v(c; gamma_weak))",
    strong=Branch(sparsity="strong"),
    weak=Branch(sparsity="weak"),
    sparser_weak=True,
)
