"""Multiply-accumulates in closed form: of one denoiser call, from the architecture alone, and of a cell. No torch."""

from collections.abc import Callable
from functools import lru_cache

from sgbench.cells.cell import Cell
from sgbench.cells.program import Call, call_counts
from sgbench.guidance.perturbation import BlockCost, Perturbation
from sgbench.guidance.subset_rules import kept_tokens
from sgbench.models import catalogue
from sgbench.models.architecture import Architecture, Macs, total

CONVENTIONS = {
    "macs": "all products, attention included, LayerNorm 4 per element",
    "paper": "no attention products, LayerNorm 2 per element (arXiv 2601.01608, Table 2)",
}


def image_macs(cell: Cell, count: Callable[[Call], Macs] | None = None) -> Macs:
    """Multiply-accumulates of one image: the sum over its calls, each counted by `count` or in closed form."""
    architecture = catalogue.entry(cell.model).architecture
    parts = [
        (count(call) if count else kept_macs(architecture, call.kept, call.perturbation)).times(times)
        for call, times in call_counts(cell)
    ]
    return total(Macs(0, 0, 0), *parts)


def call_macs(architecture: Architecture, gamma: float) -> Macs:
    """One call for one image at sparsity gamma; gamma 1 is SPRINT's path drop, where no token is kept."""
    return kept_macs(architecture, kept_tokens(architecture.grid_tokens, gamma))


@lru_cache(maxsize=4096)
def kept_macs(architecture: Architecture, kept: int, perturbation: Perturbation | None = None) -> Macs:
    """One call for one image in which `kept` tokens do work and some blocks are perturbed."""
    whole = architecture.call_macs(kept)
    if perturbation is None:
        return whole
    blocks = architecture.block_macs(kept)
    costs = [
        BlockCost(
            *blocks[layer],
            architecture.image_attention(layer, kept),
            architecture.attention_width(layer),
            architecture.grid_tokens,
        )
        for layer in perturbation.layers
    ]
    return total(whole, *(Macs(*perturbation.added_macs(cost)) for cost in costs))
