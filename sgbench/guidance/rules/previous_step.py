"""Self-Guidance in its form without further calls: away from the prediction of the step before, which was noisier."""

from sgbench.guidance.branches import Branch, Rule, Style

RULE = Rule(
    name="previous-step",
    title="Previous step",
    source="Li et al., arXiv 2412.05827, SG-prev",
    works=("li2026selfguidance",),
    style=Style("#56B4E9", "<", "--"),
    rank=170,
    formula="v_before(c) + w (v(c) - v_before(c)), v_before the prediction of the evaluation before",
    strong=Branch(sparsity="strong"),
    weak=Branch(source="previous"),
    gammas_default=0.0,
    scale_default=4.0,
    note="not Sparse Guidance, although its authors write SG for Self-Guidance; their code has w = 4 and guides where "
    "t is below 0.5 alone, as the preset self_guidance_prev does",
)
