"""Perturbed-attention guidance (PAG): away from a prediction whose attention maps are the identity in some blocks."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from sgbench.guidance.branches import Branch, OfBlocks, Parameter, Rule, Style
from sgbench.guidance.perturbation import BlockCost, Layers, Perturbation
from sgbench.guidance.schedules import ALWAYS

if TYPE_CHECKING:
    from torch import Tensor


def middle_third(blocks: Sequence[object]) -> Layers:
    """A third of all blocks, rounded, but one at least, with as many before as after them, or one more after."""
    count = max(1, round(len(blocks) / 3))
    first = (len(blocks) - count) // 2
    return Layers(range(first, first + count))


STRENGTH = Parameter("perturb_scale", "s, the push away from the perturbed branch", default=3.0)
LAYERS = Parameter(
    "layers",
    "the blocks that are perturbed, from 0, such as 7-9",
    default=OfBlocks("the middle third", middle_third),
    text="layers",
)
WHEN = Parameter(
    "perturb_interval", "where the push away from the perturbed branch acts", default=ALWAYS, text="interval"
)


@dataclass(frozen=True)
class IdentityAttention(Perturbation):
    """Every image token attends to itself alone: attention returns the values."""

    name: ClassVar[str] = "identity"
    meaning: ClassVar[str] = "identity attention"

    def attention(self, query: Tensor, key: Tensor, value: Tensor, bias: Tensor | None) -> Tensor:
        return value[:, :, value.shape[2] - query.shape[2] :]

    def added_macs(self, block: BlockCost) -> tuple[int, int, int]:
        return 0, -block.image_attention, 0


RULE = Rule(
    name="pag",
    title="PAG",
    source="Ahn et al., arXiv 2403.17377",
    works=("ahn2024pag",),
    style=Style("#CC79A7", "d", "--"),
    rank=120,
    formula="v(null) + w (v(c) - v(null)) + s (v(c) - v[attention = identity](c))",
    strong=Branch(),
    weak=Branch(condition="null"),
    perturbed=Branch(perturbation=IdentityAttention),
    parameters=(STRENGTH, LAYERS, WHEN),
    scale_default=1.0,
    note="w = 1, the default, leaves CFG out; s about 3 and middle blocks are the paper's, a third of them is ours",
)
