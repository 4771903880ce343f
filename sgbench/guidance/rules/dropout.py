"""In-situ autoguidance: away from a prediction of the same network with dropout in some blocks."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, ClassVar, Self

from sgbench.guidance.branches import Branch, Parameter, Rule, Style
from sgbench.guidance.perturbation import RandomPerturbation
from sgbench.guidance.rules.perturbed_attention import LAYERS, STRENGTH, WHEN

if TYPE_CHECKING:
    from numpy.random import Generator
    from numpy.typing import NDArray
    from torch import Tensor

# Two random bytes decide about an activation.
LEVELS = 1 << 16


@dataclass(frozen=True)
class Dropout(RandomPerturbation):
    """A share of what image tokens get from attention is 0, and the rest larger by as much."""

    name: ClassVar[str] = "dropout"
    meaning: ClassVar[str] = "dropout"

    share: float = 0.0

    @classmethod
    def of(cls, layers: tuple[int, ...], parameters: Mapping[str, float]) -> Self:
        return cls(layers, share=parameters["dropout"])

    def draw_block(self, generator: Generator, tokens: int, width: int) -> NDArray[Any]:
        import numpy as np

        drawn = np.frombuffer(generator.bytes(2 * tokens * width), dtype="<u2").reshape(tokens, width)
        return drawn >= round(self.share * LEVELS)

    def disturb(self, mixed: Tensor, draw: Tensor) -> Tensor:
        kept = draw.unflatten(2, (mixed.shape[1], mixed.shape[3])).transpose(1, 2)
        return mixed * kept / (1 - self.share)


RULE = Rule(
    name="dropout",
    title="In-situ AG",
    source="Gu and Hou, arXiv 2510.17136",
    works=("gu2025insitu",),
    style=Style("#009E73", "*", "-."),
    rank=136,
    formula="v(null) + w (v(c) - v(null)) + s (v(c) - v[dropout](c))",
    strong=Branch(),
    weak=Branch(condition="null"),
    perturbed=Branch(perturbation=Dropout),
    parameters=(
        replace(STRENGTH, default=1.0),
        LAYERS,
        Parameter("dropout", "share of what attention gives that is dropped", 0, 0.99, default=0.1),
        WHEN,
    ),
    scale_default=1.0,
    note="w = 1, the default, leaves CFG out; s, the share and the blocks are ours; not `ag`, autoguidance by another "
    "checkpoint, although the guider of this kind in diffusers is called AutoGuidance",
)
