"""Smoothed energy guidance (SEG): away from a prediction whose queries are blurred over the grid in some blocks."""

import math

from sgbench.guidance.branches import Branch, Parameter, Rule
from sgbench.guidance.rules.perturbed_attention import LAYERS, STRENGTH, WHEN
from sgbench.guidance.style import Style

RULE = Rule(
    name="seg",
    title="SEG",
    source="Hong, arXiv 2408.00760",
    works=("hong2024seg",),
    style=Style("#CC79A7", "H", ":"),
    rank=130,
    example={"layers": "12-15"},
    formula="v(null) + w (v(c) - v(null)) + s (v(c) - v[queries blurred by sigma](c))",
    strong=Branch(),
    weak=Branch(condition="null"),
    perturbed=Branch(disturbed="blur"),
    parameters=(
        STRENGTH,
        LAYERS,
        Parameter("blur", "sigma of the Gaussian blur in tokens; .inf for the mean query", 1e-3, default=math.inf),
        WHEN,
    ),
    scale_default=1.0,
    dense_because="its blur runs over the full grid of tokens",
    note="w = 1, the default, leaves CFG out; the kernel is normalised at the borders",
)
