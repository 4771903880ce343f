"""Skip-layer guidance (SLG): away from a prediction by the network without some of its blocks."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, ClassVar

from sgbench.guidance.branches import Branch, OfBlocks, Rule, Style
from sgbench.guidance.perturbation import BlockCost, Layers, Perturbation
from sgbench.guidance.rules.perturbed_attention import LAYERS, STRENGTH, WHEN

if TYPE_CHECKING:
    from torch import Tensor


@dataclass(frozen=True)
class SkippedBlocks(Perturbation):
    """The blocks do not run."""

    name: ClassVar[str] = "skip"
    meaning: ClassVar[str] = "blocks skipped"
    skips_blocks: ClassVar[bool] = True

    def attention(self, query: Tensor, key: Tensor, value: Tensor, bias: Tensor | None) -> Tensor:
        raise ValueError("a skipped block has no attention")

    def added_macs(self, block: BlockCost) -> tuple[int, int, int]:
        return -block.linear, -block.attention, -block.normalised


def as_deep(blocks: Sequence[object]) -> Layers:
    """The blocks that stand where 7-9 do in Stable Diffusion 3.5 Medium, of 24; one at least."""
    first, end = (round(len(blocks) * place / 24) for place in (7, 10))
    return Layers(range(first, max(end, first + 1)))


RULE = Rule(
    name="slg",
    title="SLG",
    source="Stability AI, Stable Diffusion 3.5; Hyung et al., arXiv 2411.18664",
    works=("stability2024sd35", "hyung2025stg"),
    style=Style("#7F7F7F", "s", "--"),
    rank=140,
    formula="v(null) + w (v(c) - v(null)) + s (v(c) - v[blocks skipped](c))",
    strong=Branch(),
    weak=Branch(condition="null"),
    perturbed=Branch(perturbation=SkippedBlocks),
    parameters=(
        replace(STRENGTH, default=2.8),
        replace(LAYERS, default=OfBlocks("those as deep as 7-9 of 24", as_deep)),
        WHEN,
    ),
    scale_default=1.0,
    note="w = 1, the default, leaves CFG out; Stable Diffusion 3.5 Medium skips 7-9 of 24 blocks with s 2.8, in "
    "progress 0.01 to 0.2 alone",
)
