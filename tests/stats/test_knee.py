"""Knees of frontiers whose answer is known, and what must not move them."""

from __future__ import annotations

from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sgbench.stats.frontier import frontier, knee

POINTS = st.lists(st.tuples(st.integers(1, 40), st.integers(0, 40)), min_size=1, max_size=12)
few = settings(max_examples=60, deadline=None)


def heights(costs: list[float], values: list[float]) -> dict[int, float]:
    """How far each frontier point lies below the chord, by its cross product and relative to the box."""
    kept = frontier(costs, values)
    wide, tall = costs[kept[-1]] - costs[kept[0]], values[kept[0]] - values[kept[-1]]
    return {
        i: ((values[kept[0]] - values[i]) * wide - (costs[i] - costs[kept[0]]) * tall) / (wide * tall) for i in kept
    }


def test_the_knee_of_a_hyperbola_is_where_its_tangent_is_parallel_to_the_chord() -> None:
    """1 / x from 0.1 to 1: -1 / x^2 = -10 at x = 0.316; 0.3 is the nearest of ten points."""
    costs = [tenth / 10 for tenth in range(1, 11)]
    assert knee(costs, [1 / x for x in costs]) == 2


def test_dominated_points_are_no_knees() -> None:
    assert knee([1, 2, 3, 2, 2.5], [10, 2, 1, 9, 9]) == 1


@pytest.mark.parametrize(
    ("costs", "values"),
    [([], []), ([1], [1]), ([1, 2], [2, 1]), ([1, 1, 2], [2, 3, 1]), ([1, 2, 3], [3, 2, 1]), ([1, 2, 3], [9, 8, 1])],
    ids=["none", "one", "two", "two on the frontier", "straight", "bulging"],
)
def test_no_knee(costs: list[float], values: list[float]) -> None:
    assert knee(costs, values) is None


@few
@given(POINTS)
def test_the_knee_is_the_frontier_point_farthest_below_the_chord(pairs: list[tuple[int, int]]) -> None:
    costs, values = map(list, zip(*pairs, strict=True))
    found = knee(costs, values)
    if len(frontier(costs, values)) < 3:
        assert found is None
        return
    below = heights(costs, values)
    if found is None:
        assert max(below.values()) < 1e-8
    else:
        assert below[found] == pytest.approx(max(below.values()), abs=1e-12)


@pytest.mark.slow
@few
@given(POINTS, st.floats(0.01, 100), st.floats(0.01, 100), st.randoms(use_true_random=False))
def test_units_and_order_do_not_move_it(pairs: list[tuple[int, int]], wide: float, tall: float, rng: Random) -> None:
    costs, values = map(list, zip(*pairs, strict=True))
    found = knee(costs, values)
    order = list(range(len(pairs)))
    rng.shuffle(order)
    moved = knee([wide * costs[i] for i in order], [tall * values[i] for i in order])
    if found is None or moved is None:
        assert found is moved
        return
    below = heights(costs, values)
    here = next(i for i in below if (costs[i], values[i]) == (costs[order[moved]], values[order[moved]]))
    # Of two that are equally far, rounding may choose the other.
    assert below[here] == pytest.approx(below[found], abs=1e-9)
