"""No guidance: the conditional prediction, dense or sparse."""

from sgbench.guidance.branches import Branch, Rule

RULE = Rule(
    name="none",
    title="unguided",
    source="the model's own conditional prediction",
    formula="v(c)",
    strong=Branch(sparsity="strong"),
    gammas_default=0.0,
)
