"""Autoguidance: away from an early checkpoint of the same run, under the same condition."""

from sgbench.guidance.branches import Branch, Rule, Style

RULE = Rule(
    name="ag",
    title="AG",
    source="Karras et al., arXiv 2406.02507",
    works=("karras2024autoguidance",),
    style=Style("#CC79A7", "v"),
    rank=30,
    formula="v_early(c) + w (v(c) - v_early(c))",
    strong=Branch(),
    weak=Branch(checkpoint="auxiliary"),
)
