"""Smoothed energy guidance (SEG): away from a prediction whose queries are blurred over the grid in some blocks."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar, Self

from sgbench.guidance.branches import Branch, Parameter, Rule, Style
from sgbench.guidance.perturbation import BlockCost, Perturbation
from sgbench.guidance.rules.perturbed_attention import LAYERS, STRENGTH, WHEN

if TYPE_CHECKING:
    from torch import Tensor


@dataclass(frozen=True)
class BlurredQueries(Perturbation):
    """Image tokens attend by queries that are blurred over the full grid."""

    name: ClassVar[str] = "blur"
    meaning: ClassVar[str] = "blurred queries"

    sigma: float = math.inf
    """Standard deviation of the blur in tokens; at infinity every query is the mean query."""

    @classmethod
    def of(cls, layers: tuple[int, ...], parameters: Mapping[str, float]) -> Self:
        return cls(layers, parameters["blur"])

    def attention(self, query: Tensor, key: Tensor, value: Tensor, bias: Tensor | None) -> Tensor:
        from torch.nn.functional import scaled_dot_product_attention

        return scaled_dot_product_attention(blur_queries(query, self.sigma), key, value, attn_mask=bias)

    def added_macs(self, block: BlockCost) -> tuple[int, int, int]:
        if math.isinf(self.sigma):
            # A mean, which is not counted.
            return 0, 0, 0
        # Rows, then columns, of a separable blur of the full grid.
        return 2 * block.grid_tokens * math.isqrt(block.grid_tokens) * block.width, 0, 0


def blur_queries(query: Tensor, sigma: float) -> Tensor:
    """Queries (B, heads, N, d) blurred over the square grid of tokens; the mean query at infinite sigma.

    A separable Gaussian whose weights add up to 1 at every token, also at the border (arXiv 2408.00760, section 4).
    """
    import torch

    if math.isinf(sigma):
        return query.mean(dim=2, keepdim=True).expand_as(query)
    side = math.isqrt(query.shape[2])
    place = torch.arange(side, device=query.device, dtype=query.dtype)
    # Column j holds the weights with which the tokens of a row, or of a column, enter token j.
    kernel = torch.softmax(-((place[:, None] - place[None]) ** 2) / (2 * sigma**2), dim=0)
    grid = query.unflatten(2, (side, side)).transpose(2, 4)
    return (grid @ kernel).transpose(3, 4).matmul(kernel).permute(0, 1, 3, 4, 2).flatten(2, 3)


RULE = Rule(
    name="seg",
    title="SEG",
    source="Hong, arXiv 2408.00760",
    works=("hong2024seg",),
    style=Style("#CC79A7", "H", ":"),
    rank=130,
    formula="v(null) + w (v(c) - v(null)) + s (v(c) - v[queries blurred by sigma](c))",
    strong=Branch(),
    weak=Branch(condition="null"),
    perturbed=Branch(perturbation=BlurredQueries),
    parameters=(
        STRENGTH,
        LAYERS,
        Parameter("blur", "sigma of the Gaussian blur in tokens; .inf for the mean query", 1e-3, default=math.inf),
        WHEN,
    ),
    scale_default=1.0,
    dense_because="its blur runs over the full grid of tokens",
    note="w = 1, the default, leaves CFG out; s 3 is the paper's, the blocks are ours; the kernel is normalised at the "
    "borders",
)
