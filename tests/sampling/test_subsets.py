"""Which tokens a branch keeps, under every subset rule."""

from __future__ import annotations

import numpy as np
import pytest

from sgbench.cells.cell import Cell
from sgbench.cells.program import program
from sgbench.guidance.schedules import gamma_schedule
from sgbench.guidance.settings import Guidance
from sgbench.guidance.subset_rules import group_shape
from sgbench.samplers.settings import Sampler
from sgbench.sampling.subsets import Subset, draw_subsets

GRID, STEPS = 64, 6


def subsets(gamma_weak: float | str = 0.75, seed: int = 0, steps: int = STEPS, **settings: str) -> list[list[Subset]]:
    """(strong, weak) per step for four images, gammas 0.25 and `gamma_weak`."""
    guidance = Guidance("sg", 2.0, 0.25, gamma_weak, **settings)
    cell = Cell("fashion-routing", guidance, Sampler("euler", steps), seed, "balanced", "float32")
    drawn = draw_subsets(cell, program(cell), range(4), GRID)
    return [[part for part in step if part is not None] for step in drawn]


@pytest.mark.parametrize("rule", ["exact", "bernoulli", "fixed", "groups"])
@pytest.mark.parametrize("sharing", ["independent", "shared"])
def test_every_subset_is_ascending_and_within_the_grid(rule: str, sharing: str) -> None:
    for strong, weak in subsets(subset=rule, sharing=sharing):
        for part in (strong, weak):
            assert (np.diff(part, axis=1) > 0).all()
            assert part.min() >= 0
            assert part.max() < GRID


def test_exact_keeps_exactly_so_many_and_draws_afresh() -> None:
    drawn = subsets()
    assert [(strong.shape[1], weak.shape[1]) for strong, weak in drawn] == [(48, 16)] * STEPS
    assert len({weak.tobytes() for _, weak in drawn}) == STEPS
    strong, weak = drawn[0]
    assert len({row.tobytes() for row in weak}) == 4
    assert not set(weak[0]) <= set(strong[0])


def test_fixed_keeps_the_same_tokens_at_every_step_but_not_in_every_image() -> None:
    drawn = subsets(subset="fixed")
    assert len({weak.tobytes() for _, weak in drawn}) == 1
    assert len({row.tobytes() for row in drawn[0][1]}) == 4


@pytest.mark.parametrize("rule", ["exact", "bernoulli", "fixed", "groups"])
def test_a_shared_subset_is_nested(rule: str) -> None:
    for strong, weak in subsets(subset=rule, sharing="shared"):
        assert all(set(w) <= set(s) for s, w in zip(strong, weak, strict=True))


@pytest.mark.parametrize(("strong", "weak"), [(0.375, 0.5), (0.625, 0.75), (0.25, 0.875)])
def test_shared_groups_of_two_sizes_are_nested(strong: float, weak: float) -> None:
    guidance = Guidance("sg", 2.0, strong, weak, subset="groups", sharing="shared")
    cell = Cell("fashion-routing", guidance, Sampler("euler", 2), 0, "balanced", "float32")
    for dense, sparse in draw_subsets(cell, program(cell), range(4), GRID):
        assert dense is not None
        assert sparse is not None
        assert all(set(w) <= set(s) for s, w in zip(dense, sparse, strict=True))


def test_groups_keep_as_many_of_every_square() -> None:
    for _, weak in subsets(subset="groups"):
        rows, columns = weak // 8, weak % 8
        squares = rows // 2 * 4 + columns // 2
        assert (np.sort(squares, axis=1) == np.arange(16)).all()


def test_groups_of_eighths() -> None:
    for _, weak in subsets(gamma_weak=0.875, subset="groups"):
        blocks = weak // 8 // 2 * 2 + weak % 8 // 4
        assert (np.sort(blocks, axis=1) == np.arange(8)).all()
    assert (group_shape(0.75), group_shape(0.625), group_shape(0.3)) == ((2, 2), (2, 4), None)


@pytest.mark.slow
def test_bernoulli_has_the_law_of_independent_coins() -> None:
    """Counts over many seeds: mean and variance of a binomial; every token as often as another."""
    weak = [subsets(subset="bernoulli", seed=seed, steps=20)[step][1] for seed in range(60) for step in range(0, 20, 5)]
    counts = np.array([part.shape[1] for part in weak])
    mean, variance = GRID * 0.25, GRID * 0.25 * 0.75
    assert abs(counts.mean() - mean) < 4 * np.sqrt(variance / len(counts))
    assert variance * 0.65 < counts.var() < variance * 1.4
    kept = np.bincount(np.concatenate([part.ravel() for part in weak]), minlength=GRID) / (4 * len(weak))
    assert np.abs(kept - 0.25).max() < 0.08


def test_a_schedule_moves_the_number_of_tokens() -> None:
    kept = [weak.shape[1] for _, weak in subsets(gamma_weak=gamma_schedule("linear 0.9 to 0.3"))]
    assert kept == [GRID - int(GRID * (0.9 - 0.6 * step / STEPS)) for step in range(STEPS)]
