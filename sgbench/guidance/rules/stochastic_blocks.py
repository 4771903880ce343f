"""S2-Guidance: away from a prediction by the network without a few blocks drawn at random at every step."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import ClassVar

from sgbench.guidance.branches import Branch, OfBlocks, Parameter, Rule, Style
from sgbench.guidance.perturbation import Layers
from sgbench.guidance.rules.perturbed_attention import LAYERS, WHEN
from sgbench.guidance.rules.skip_layers import SkippedBlocks


@dataclass(frozen=True)
class RandomSkippedBlocks(SkippedBlocks):
    """Blocks that are drawn at random at every step do not run."""

    name: ClassVar[str] = "random skip"
    meaning: ClassVar[str] = "random blocks skipped"
    draws_blocks: ClassVar[bool] = True


def inside(blocks: Sequence[object]) -> Layers:
    """All blocks but the first and the last that cost what the middle one does, which is one of them."""
    middle, last = len(blocks) // 2, len(blocks) - 1
    alike = (n for n, cost in enumerate(blocks) if cost == blocks[middle])
    return Layers(n for n in alike if n == middle or 0 < n < last)


RULE = Rule(
    name="s2",
    title="S2-Guidance",
    source="arXiv 2508.12880, eq. 4",
    works=("chen2025s2guidance",),
    style=Style("#7F7F7F", "^", ":"),
    rank=150,
    formula="v(null) + w (v(c) - v(null)) - s (v[random blocks skipped](c) - v(c))",
    strong=Branch(),
    weak=Branch(condition="null"),
    perturbed=Branch(perturbation=RandomSkippedBlocks),
    parameters=(
        Parameter("perturb_scale", "omega, the push away from the perturbed branch", default=0.25),
        replace(
            LAYERS,
            meaning="the blocks that may be drawn, from 0: all but the critical ones",
            default=OfBlocks("all but the first and the last, of the kind in the middle", inside),
        ),
        Parameter("drop", "share of the network's blocks that is skipped, at least one", 0.01, 1, default=0.1),
        WHEN,
    ),
    scale_default=1.0,
    note="the blocks of a step are drawn for all images together; omega 0.25 and a tenth of the blocks are the "
    "paper's, which are critical is ours",
)
