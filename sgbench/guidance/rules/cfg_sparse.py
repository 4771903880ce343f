"""CFG and Sparse Guidance in two calls: one weak branch that is both sparser and unconditional."""

from sgbench.guidance.branches import Branch, Rule, Style

RULE = Rule(
    name="cfg+sg",
    title="CFG+SG",
    source="arXiv 2601.01608, eq. 8",
    works=("krause2026sparseguidance", "ho2022cfg"),
    style=Style("#009E73", "P"),
    rank=50,
    example={"gamma_strong": 0.2, "gamma_weak": 0.7},
    formula="v(null; gamma_weak) + w (v(c; gamma_strong) - v(null; gamma_weak))",
    strong=Branch(sparsity="strong"),
    weak=Branch(condition="null", sparsity="weak"),
)
