"""CFG and Sparse Guidance in two calls: one weak branch that is both sparser and unconditional."""

from sgbench.guidance.branches import Branch, Rule

RULE = Rule(
    name="cfg+sg",
    title="CFG+SG",
    source="arXiv 2601.01608, eq. 8",
    formula="v(null; gamma_weak) + w (v(c; gamma_strong) - v(null; gamma_weak))",
    strong=Branch(sparsity="strong"),
    weak=Branch(condition="null", sparsity="weak"),
)
