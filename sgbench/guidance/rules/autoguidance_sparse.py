"""Autoguidance and Sparse Guidance: an early checkpoint is the weak branch, each branch with its own gamma."""

from sgbench.guidance.branches import Branch, Rule, Style

RULE = Rule(
    name="ag+sg",
    title="AG+SG",
    source="arXiv 2601.01608, section on autoguidance",
    works=("krause2026sparseguidance", "karras2024autoguidance"),
    style=Style("#56B4E9", "X"),
    rank=60,
    example={"gamma_strong": 0.3, "gamma_weak": 0.3},
    formula="v_early(c; gamma_weak) + w (v(c; gamma_strong) - v_early(c; gamma_weak))",
    strong=Branch(sparsity="strong"),
    weak=Branch(checkpoint="auxiliary", sparsity="weak"),
)
