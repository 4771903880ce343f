"""Token perturbation guidance (TPG): away from a prediction whose tokens are shuffled in some blocks."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

from sgbench.guidance.branches import Branch, Rule, Style
from sgbench.guidance.perturbation import RandomPerturbation
from sgbench.guidance.rules.perturbed_attention import LAYERS, STRENGTH, WHEN

if TYPE_CHECKING:
    from numpy.random import Generator
    from numpy.typing import NDArray
    from torch import Tensor


@dataclass(frozen=True)
class ShuffledTokens(RandomPerturbation):
    """Image tokens enter attention in random order, and what they get is added in that order."""

    name: ClassVar[str] = "shuffle"
    meaning: ClassVar[str] = "tokens shuffled"

    def draw_block(self, generator: Generator, tokens: int, width: int) -> NDArray[Any]:
        return generator.permutation(tokens)

    def disturb(self, mixed: Tensor, draw: Tensor) -> Tensor:
        return mixed.gather(2, draw[:, None, :, None].expand_as(mixed))


RULE = Rule(
    name="tpg",
    title="TPG",
    source="Rajabi et al., arXiv 2506.10036",
    works=("rajabi2025tpg",),
    style=Style("#009E73", "H", ":"),
    rank=133,
    formula="v(null) + w (v(c) - v(null)) + s (v(c) - v[tokens shuffled](c))",
    strong=Branch(),
    weak=Branch(condition="null"),
    perturbed=Branch(perturbation=ShuffledTokens),
    parameters=(STRENGTH, LAYERS, WHEN),
    scale_default=1.0,
    note="w = 1, the default, leaves CFG out; s 3 is the authors' default for SDXL, the blocks are ours; tokens are "
    "shuffled in attention alone: shuffled for good, as inside a U-Net's blocks, the patches of a DiT's prediction "
    "would only change places",
)
