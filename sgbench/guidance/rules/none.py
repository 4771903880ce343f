"""No guidance: the conditional prediction, dense or sparse."""

from sgbench.guidance.branches import Branch, Rule, Style

RULE = Rule(
    name="none",
    title="unguided",
    source="the model's own conditional prediction",
    style=Style("#000000", "o"),
    rank=0,
    formula="v(c)",
    strong=Branch(sparsity="strong"),
    gammas_default=0.0,
)
