"""Multiply-accumulates in closed form: of one denoiser call, from the architecture alone, and of a cell. No torch."""

from collections.abc import Callable
from functools import lru_cache

from sgbench.cells.cell import Cell
from sgbench.cells.program import STRONG, Call, call_counts, program
from sgbench.guidance import RULES
from sgbench.guidance.perturbation import BlockCost, Perturbation
from sgbench.guidance.subset_rules import kept_tokens
from sgbench.models import catalogue
from sgbench.models.architecture import Architecture, Macs, total

CONVENTIONS = {
    "macs": "all products, attention included, LayerNorm 4 per element",
    "paper": "no attention products, LayerNorm 2 per element (arXiv 2601.01608, Table 2)",
}


def image_macs(cell: Cell, count: Callable[[Call], Macs] | None = None) -> Macs:
    """Multiply-accumulates of one image: the sum over its calls, each counted by `count` or in closed form.

    It is the most that an image costs under a rule that may stop guidance.
    """
    counted = count or closed(cell)
    return total(Macs(0, 0, 0), *(counted(call).times(times) for call, times in call_counts(cell)))


def is_stated(cell: Cell) -> bool:
    """Whether the closed form of all calls is known; if not, they are counted when they first run."""
    architecture = catalogue.entry(cell.model).architecture
    return all(architecture.states_macs(call.perturbation) for call, _ in call_counts(cell))


def stopped_macs(cell: Cell, guided: int, count: Callable[[Call], Macs] | None = None) -> Macs:
    """The same of an image that was guided in the first `guided` evaluations of a rule that stops, and in no later."""
    counted, steered, parts = count or closed(cell), 0, [Macs(0, 0, 0)]
    for evaluation in program(cell):
        stops = evaluation.steers and RULES[evaluation.guidance.rule].stop is not None
        steered += stops
        made = evaluation.calls
        if stops and steered > guided:
            made = tuple(call._replace(inner="") for call in made if call.slot == STRONG)
        parts += map(counted, made)
    return total(*parts)


def closed(cell: Cell) -> Callable[[Call], Macs]:
    """What counts the calls of a cell in closed form."""
    architecture = catalogue.entry(cell.model).architecture
    return lambda call: kept_macs(architecture, call.kept, call.perturbation, bool(call.inner))


def call_macs(architecture: Architecture, gamma: float) -> Macs:
    """One call for one image at sparsity gamma; gamma 1 is SPRINT's path drop, where no token is kept."""
    return kept_macs(architecture, kept_tokens(architecture.grid_tokens, gamma))


@lru_cache(maxsize=4096)
def kept_macs(
    architecture: Architecture, kept: int, perturbation: Perturbation | None = None, inner: bool = False
) -> Macs:
    """One call for one image in which `kept` tokens do work, some blocks are perturbed, an inner head predicts."""
    whole = architecture.call_macs(kept)
    if inner:
        whole = whole.plus(architecture.inner_macs())
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
