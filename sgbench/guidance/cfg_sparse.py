"""CFG and Sparse Guidance in two calls: one weak branch that is both sparser and unconditional."""

from sgbench.guidance.branches import Branch, Rule

RULE = Rule(
    name="cfg+sg",
    title="CFG+SG",
    source="arXiv 2601.01608, eq. 8",
    strong=Branch(sparsity="strong"),
    weak=Branch(condition="null", sparsity="weak"),
)
