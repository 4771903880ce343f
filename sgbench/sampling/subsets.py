"""The tokens that each call keeps, by the subset rule of its cell."""

import math
from collections.abc import Sequence
from typing import assert_never

import numpy as np
from numpy.typing import NDArray

from sgbench.cells.cell import Cell
from sgbench.cells.program import Call, Evaluation
from sgbench.cells.randomness import Stream, named_stream, token_orders
from sgbench.guidance.schedules import gamma_at
from sgbench.guidance.settings import Guidance
from sgbench.guidance.subset_rules import group_shape

Subset = NDArray[np.int64]


def draw_subsets(
    cell: Cell, evaluations: Sequence[Evaluation], indices: Sequence[int], grid: int
) -> list[list[Subset | None]]:
    """Kept token indices (images, kept), ascending, per evaluation and call; None where all tokens are kept.

    An image's subset is a function of (seed, branch, image, evaluation) alone; of (seed, image, evaluation) where
    branches share one, so that the sparser branch keeps a part of what the other keeps.
    """
    wanted = {
        _stream(evaluation.guidance, call)
        for evaluation in evaluations
        for call in evaluation.calls
        if 0 < call.kept < grid
    }
    orders = {stream: token_orders(cell.seed, stream, indices, len(evaluations), grid) for stream in wanted}

    def subset(guidance: Guidance, call: Call, number: int) -> Subset | None:
        if call.kept == grid:
            return None
        if call.kept == 0:
            return np.zeros((len(indices), 0), dtype=np.int64)
        order = orders[_stream(guidance, call)]
        match guidance.subset:
            case "groups":
                return _evenly(order[number], call.gamma, _group_shapes(guidance)[call.branch.sparsity])
            case "exact" | "bernoulli":
                return np.sort(order[number][:, : call.kept], axis=1)
            case "fixed":
                return np.sort(order[0][:, : call.kept], axis=1)
            case _:
                assert_never(guidance.subset)

    return [
        [subset(evaluation.guidance, call, number) for call in evaluation.calls]
        for number, evaluation in enumerate(evaluations)
    ]


def _stream(guidance: Guidance, call: Call) -> int:
    match guidance.sharing:
        case "shared":
            return Stream.SHARED_TOKENS
        case "independent":
            own = {"strong": Stream.STRONG_TOKENS, "weak": Stream.WEAK_TOKENS}
            slot = call.slot or call.inner
            return own[slot] if slot in own else named_stream(f"tokens {slot}")
        case _:
            assert_never(guidance.sharing)


def _group_shapes(guidance: Guidance) -> dict[str, tuple[int, int]]:
    """The groups of each gamma; of one size where branches share a subset, or the sparser would not be a part."""
    gammas = {"strong": gamma_at(guidance.gamma_strong, 0.0), "weak": gamma_at(guidance.gamma_weak, 0.0)}
    shapes = {slot: shape for slot, gamma in gammas.items() if (shape := group_shape(gamma)) is not None}
    largest = max(shapes.values())
    return dict.fromkeys(shapes, largest) if guidance.sharing == "shared" else shapes


def _evenly(order: Subset, gamma: float, shape: tuple[int, int]) -> Subset:
    """As many tokens in every group of the grid, the first of the order in each, as SPRINT drops them in training."""
    images, grid = order.shape
    (rows, columns), side = shape, math.isqrt(grid)
    size = rows * columns
    places = np.arange(grid).reshape(side // rows, rows, side // columns, columns)
    members = places.transpose(0, 2, 1, 3).reshape(-1, size)
    rank = np.argsort(order, axis=1)[:, members]
    chosen = np.argsort(rank, axis=2)[:, :, : size - round(size * gamma)]
    kept = np.take_along_axis(np.broadcast_to(members, rank.shape), chosen, axis=2)
    return np.sort(kept.reshape(images, -1), axis=1)
