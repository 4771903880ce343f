"""S2-Guidance: away from a prediction by the network without a few blocks drawn at random at every step."""

from dataclasses import dataclass, replace
from typing import ClassVar

from sgbench.guidance.branches import Branch, Parameter, Rule, Style
from sgbench.guidance.perturbation import Layers
from sgbench.guidance.rules.perturbed_attention import LAYERS, WHEN
from sgbench.guidance.rules.skip_layers import SkippedBlocks


@dataclass(frozen=True)
class RandomSkippedBlocks(SkippedBlocks):
    """Blocks that are drawn at random at every step do not run."""

    name: ClassVar[str] = "random skip"
    meaning: ClassVar[str] = "random blocks skipped"
    draws_blocks: ClassVar[bool] = True


RULE = Rule(
    name="s2",
    title="S2-Guidance",
    source="arXiv 2508.12880, eq. 4",
    works=("chen2025s2guidance",),
    style=Style("#7F7F7F", "^", ":"),
    rank=150,
    example={"layers": Layers(range(2, 26))},
    formula="v(null) + w (v(c) - v(null)) - s (v[random blocks skipped](c) - v(c))",
    strong=Branch(),
    weak=Branch(condition="null"),
    perturbed=Branch(perturbation=RandomSkippedBlocks),
    parameters=(
        Parameter("perturb_scale", "omega, the push away from the perturbed branch", default=0.25),
        replace(LAYERS, meaning="the blocks that may be drawn, from 0: all but the critical ones"),
        Parameter("drop", "share of the network's blocks that is skipped, at least one", 0.01, 1, default=0.1),
        WHEN,
    ),
    scale_default=1.0,
    note="the blocks of a step are drawn for all images together; omega 0.25 and a tenth of the blocks are the paper's",
)
