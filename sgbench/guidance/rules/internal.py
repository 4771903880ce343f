"""Internal Guidance: away from the prediction of an inner head of the same forward pass."""

from sgbench.guidance.branches import Branch, Rule, Style

RULE = Rule(
    name="ig",
    title="IG",
    source="Zhou et al., arXiv 2512.24176",
    works=("zhou2026ig",),
    style=Style("#0072B2", "H", "-."),
    rank=190,
    formula="v_inner(c) + w (v(c) - v_inner(c))",
    strong=Branch(sparsity="strong"),
    weak=Branch(sparsity="strong", output="inner"),
    scale_default=1.4,
    gammas_default=0.0,
    note="both predictions come from one forward pass, which is one call; 1.4 is the default of the published sampling "
    "script for SiT, which applies CFG as well",
)
