"""CFG++: the image comes from the guided prediction, the noise put back from the unconditional one."""

from sgbench.guidance.branches import Branch, Rule, Style

RULE = Rule(
    name="cfg++",
    title="CFG++",
    source="Chung et al., arXiv 2406.08070",
    works=("chung2025cfgpp",),
    style=Style("#D55E00", "*", ":"),
    rank=90,
    formula="x' = (1 - t') x0[v_g] + t' n[v(null)], v_g = v(null) + w (v(c) - v(null)), w in (0, 1]",
    strong=Branch(sparsity="strong"),
    weak=Branch(condition="null", sparsity="weak"),
    gammas_default=0.0,
    scale_range=(0.0, 1.0),
    samplers=("euler", "ddim"),
    replaces_update=True,
    note="replaces the update of Euler and DDIM, and has none in other samplers; outside an interval the plain update "
    "with the strong branch; in Euler it is CFG at the scale w t (1 - t') / (t - t')",
)
