"""Skip-layer guidance (SLG): away from a prediction by the network without some of its blocks."""

from sgbench.guidance.branches import Branch, Rule
from sgbench.guidance.rules.perturbed_attention import LAYERS, STRENGTH, WHEN
from sgbench.guidance.style import Style

RULE = Rule(
    name="slg",
    title="SLG",
    source="Stability AI, Stable Diffusion 3.5; Hyung et al., arXiv 2411.18664",
    works=("stability2024sd35", "hyung2025stg"),
    style=Style("#7F7F7F", "s", "--"),
    rank=140,
    example={"layers": "7-9"},
    formula="v(null) + w (v(c) - v(null)) + s (v(c) - v[blocks skipped](c))",
    strong=Branch(),
    weak=Branch(condition="null"),
    perturbed=Branch(disturbed="skip"),
    parameters=(STRENGTH, LAYERS, WHEN),
    scale_default=1.0,
    note="w = 1, the default, leaves CFG out; Stable Diffusion 3.5 skips 7-9 with s 2.8 in progress 0.01 to 0.2",
)
