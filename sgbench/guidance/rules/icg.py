"""Independent condition guidance: away from the prediction for a random class, fresh at every step."""

from sgbench.guidance.branches import Branch, Rule, Style

RULE = Rule(
    name="icg",
    title="ICG",
    source="Sadat et al., arXiv 2407.02687",
    works=("sadat2025icg",),
    style=Style("#E69F00", "D"),
    rank=20,
    formula="v(r) + w (v(c) - v(r)), r a random class",
    strong=Branch(),
    weak=Branch(condition="random"),
)
