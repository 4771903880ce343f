"""Path-drop guidance: away from the unconditional prediction of the same network without its middle blocks."""

from sgbench.guidance.branches import Branch, Rule, Style

RULE = Rule(
    name="pdg",
    title="PDG",
    source="Snap Research, SPRINT",
    works=("park2025sprint",),
    style=Style("#009E73", "<", "--"),
    rank=70,
    formula="v_no_middle(null) + w (v(c) - v_no_middle(null))",
    strong=Branch(),
    weak=Branch(condition="null", sparsity="path"),
)
