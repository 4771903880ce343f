"""Hypervolume: its laws, a count of grid squares, and differences whose answer is known."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sgbench.stats.frontier import Point, draws
from sgbench.stats.hypervolume import Box, area, area_difference, cover, hypervolume

BOX = Box(8.0, 8.0, 0.0)
PAIR = st.tuples(st.floats(0, 10), st.floats(-1, 10))
PAIRS = st.lists(PAIR, min_size=1, max_size=12)
Pairs = list[tuple[float, float]]
few = settings(max_examples=60, deadline=None)


def volume(pairs: Pairs, box: Box = BOX) -> float:
    return hypervolume([cost for cost, _ in pairs], [value for _, value in pairs], box)


def points(*cells: tuple[float, float], error: float = 0.0, seed: int = 0) -> list[Point]:
    noise = np.random.default_rng(seed).normal(size=(len(cells), 20)) * error / np.sqrt(20)
    return [Point(c, v, tuple((v + own).tolist())) for (c, v), own in zip(cells, noise, strict=True)]


@few
@given(st.lists(st.tuples(st.integers(0, 9), st.integers(-1, 9)), min_size=1, max_size=12))
def test_it_counts_the_squares_that_some_point_dominates(pairs: list[tuple[int, int]]) -> None:
    squares = [(x, y) for x in range(8) for y in range(8)]
    dominated = sum(any(cost <= x and value <= y for cost, value in pairs) for x, y in squares)
    assert volume([(float(c), float(v)) for c, v in pairs]) == pytest.approx(dominated / len(squares))


@few
@given(PAIRS, PAIR)
def test_a_further_point_never_lowers_it(pairs: Pairs, further: tuple[float, float]) -> None:
    assert volume([*pairs, further]) >= volume(pairs) - 1e-12


@few
@given(PAIRS, st.integers(0, 11), st.floats(0, 3), st.floats(0, 3))
def test_a_dominated_point_changes_nothing(pairs: Pairs, index: int, dearer: float, worse: float) -> None:
    cost, value = pairs[index % len(pairs)]
    assert volume([*pairs, (cost + dearer, value + worse)]) == pytest.approx(volume(pairs))


@few
@given(PAIRS, st.floats(0.01, 100))
def test_order_and_the_unit_of_cost_do_not_matter(pairs: Pairs, unit: float) -> None:
    turned = [(unit * cost, value) for cost, value in reversed(pairs)]
    assert volume(turned, Box(unit * BOX.cost, BOX.value, BOX.best)) == pytest.approx(volume(pairs))


@few
@given(PAIRS)
def test_it_is_a_share(pairs: Pairs) -> None:
    assert 0 <= volume(pairs) <= 1


def test_the_extremes() -> None:
    assert volume([(0, 0)]) == 1
    assert volume([(0, -5)]) == 1
    assert volume([(8, 0)]) == volume([(0, 8)]) == volume([(9, -1), (-0.0, 9)]) == 0
    assert volume([]) == 0


@pytest.mark.parametrize(
    "box", [Box(8, 1, 1), Box(0, 8, 0), Box(8, 1, 2)], ids=["no height", "no width", "upside down"]
)
def test_a_box_without_room_gives_nothing(box: Box) -> None:
    assert volume([(1, 0.5)], box) == 0


def test_an_area_without_noise_has_no_width() -> None:
    assert area(cover(points((4, 4)), BOX)) == (0.25, 0.25, 0.25)


def test_the_interval_is_that_of_the_value_where_one_point_makes_the_area() -> None:
    """(8 - v) / 8 of half the width: an error of 0.4 is one of 0.025, and t of 19 degrees of freedom is 2.093."""
    (cell,) = points((4, 4), error=0.4, seed=1)
    error = np.sqrt(19 / 20 * np.var(cell.replicates) * 20)
    found = area(cover([cell], BOX))
    assert found.value == 0.25
    assert found.upper - found.value == pytest.approx(2.093 * error / 16, rel=0.08)
    assert found.lower + found.upper == pytest.approx(0.5)


def test_an_interval_stays_a_share() -> None:
    found = area(cover(points((0.01, 0.01), error=5, seed=2), BOX))
    assert found.lower >= 0
    assert found.upper == 1


def test_noise_in_common_cancels_in_a_difference() -> None:
    (first,) = points((4, 4), error=0.4, seed=3)
    second = Point(4, 3.0, tuple(r - 1 for r in first.replicates))
    found = area_difference(cover([first], BOX), cover([second], BOX))
    assert found.value == pytest.approx(1 / 16)
    assert found.lower == pytest.approx(found.upper)
    assert found.significant


def test_apart_the_same_two_do_not_differ_beyond_noise() -> None:
    first, second = (points((4, v), error=0.4, seed=seed) for v, seed in ((4, 3), (3, 4)))
    found = area_difference(cover(first, BOX), cover(second, BOX))
    assert found.value == pytest.approx(1 / 16)
    assert not found.significant


def test_a_rule_does_not_differ_from_itself() -> None:
    cells = points((1, 6), (2, 5), (6, 1), error=1, seed=5)
    assert area_difference(cover(cells, BOX), cover(cells, BOX)) == (0, 0, 0, 0)


def test_covers_found_apart_are_paired_as_if_drawn_together() -> None:
    cells = points((1, 6), (2, 5), (6, 1), error=1, seed=6)
    assert np.allclose(draws(cells)[:, 1:], draws(cells[1:]))


@pytest.mark.slow
@pytest.mark.parametrize(("baseline", "rule"), [(3, 30), (30, 3), (30, 30)])
def test_intervals_hold_where_many_cells_are_alike(baseline: int, rule: int) -> None:
    """The best of many cells of one truth looks better than it is: both intervals have to reach back to the truth.

    200 sets of 20 groups; of 95 % intervals fewer than 88 % hold with a chance below 1e-4.
    """
    rng = np.random.default_rng(3)
    held = {"area": 0, "difference": 0}
    for _ in range(200):
        sets = []
        for count in (baseline, rule):
            means = 1.5 + 0.9 * rng.normal(size=(count, 20))
            left = (means.sum(axis=1, keepdims=True) - means) / 19
            costs, values = np.linspace(1, 2, count), means.mean(axis=1)
            sets.append([Point(c, v, tuple(r)) for c, v, r in zip(costs, values, left.tolist(), strict=True)])
        box = Box(2.2, 3.0, min(point.value for points in sets for point in points))
        first, second = (cover(points, box) for points in sets)
        # Both cover the same in truth.
        truth = (2.2 - 1) / 2.2 * min(1.0, 1.5 / (3.0 - box.best))
        found, gap = area(second), area_difference(first, second)
        held["area"] += found.lower <= truth <= found.upper
        held["difference"] += gap.lower <= 0 <= gap.upper
    assert min(held.values()) >= 0.88 * 200, held
