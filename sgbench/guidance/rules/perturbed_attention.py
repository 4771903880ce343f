"""Perturbed-attention guidance (PAG): away from a prediction whose attention maps are the identity in some blocks."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from sgbench.guidance.branches import Branch, Parameter, Rule, Style
from sgbench.guidance.perturbation import BlockCost, Layers, Perturbation
from sgbench.guidance.schedules import ALWAYS

if TYPE_CHECKING:
    from torch import Tensor

STRENGTH = Parameter("perturb_scale", "s, the push away from the perturbed branch")
LAYERS = Parameter("layers", "the blocks that are perturbed, from 0, such as 7-9", text="layers")
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
    example={"layers": Layers(range(12, 16))},
    formula="v(null) + w (v(c) - v(null)) + s (v(c) - v[attention = identity](c))",
    strong=Branch(),
    weak=Branch(condition="null"),
    perturbed=Branch(perturbation=IdentityAttention),
    parameters=(STRENGTH, LAYERS, WHEN),
    scale_default=1.0,
    note="w = 1, the default, leaves CFG out; the paper perturbs middle blocks with s about 3",
)
