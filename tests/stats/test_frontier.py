"""Frontiers and savings on points whose answer is known."""

from __future__ import annotations

import itertools
import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sgbench.stats.frontier import Point, cost_to_reach, draws, frontier, saving

POINTS = st.lists(st.tuples(st.floats(0.1, 10), st.floats(0, 10)), min_size=1, max_size=20)


def point(cost: float, value: float, error: float = 0.0, seed: int = 0) -> Point:
    """A point whose jackknife error is `error`, independent of others with another seed."""
    noise = np.random.default_rng(seed).normal(size=20)
    noise = (noise - noise.mean()) / np.sqrt(19 / 20 * ((noise - noise.mean()) ** 2).sum()) if error else 0 * noise
    return Point(cost, value, tuple(value + error * noise))


@given(POINTS)
def test_nothing_beats_a_frontier_point(pairs: list[tuple[float, float]]) -> None:
    costs, values = zip(*pairs, strict=True)
    kept = frontier(costs, values)
    for index in range(len(pairs)):
        beaten = any(
            costs[k] <= costs[index]
            and values[k] <= values[index]
            and (costs[k], values[k]) != (costs[index], values[index])
            for k in range(len(pairs))
        )
        if index in kept:
            assert not beaten
        else:
            assert beaten or pairs[index] in [pairs[k] for k in kept]


@given(POINTS)
def test_a_frontier_rises_in_cost_and_falls_in_value(pairs: list[tuple[float, float]]) -> None:
    costs, values = zip(*pairs, strict=True)
    kept = frontier(costs, values)
    assert all(costs[a] < costs[b] and values[a] > values[b] for a, b in itertools.pairwise(kept))


def test_cost_to_reach_interpolates_and_never_extrapolates() -> None:
    costs, values = np.array([1.0, 2.0, 4.0]), np.array([3.0, 2.0, 1.0])
    assert cost_to_reach(costs, values, 2.5) == 1.5
    assert cost_to_reach(costs, values, 1.5) == 3.0
    assert cost_to_reach(costs, values, 5.0) == 1.0
    assert math.isnan(cost_to_reach(costs, values, 0.9))


def test_draws_have_the_jackknife_error_and_covariance() -> None:
    same, other = point(1, 5, 0.3, seed=1), point(1, 6, 0.2, seed=2)
    drawn = draws([same, same, other])
    assert drawn.std(axis=0) == pytest.approx([0.3, 0.3, 0.2], rel=0.05)
    assert np.allclose(drawn[:, 0], drawn[:, 1])
    assert drawn.mean(axis=0) == pytest.approx([5, 5, 6], abs=0.03)


def test_a_clear_saving_is_found_with_a_narrow_interval() -> None:
    baseline = [point(1.0, 2.0, 0.01, 1), point(2.0, 1.0, 0.01, 2)]
    rule = [point(0.5, 3.0, 0.01, 3), point(1.0, 1.5, 0.01, 4), point(1.5, 0.5, 0.01, 5)]
    found = saving(baseline, rule)
    assert found.share == pytest.approx(1 - 1.25 / 2)
    assert 0.35 < found.lower < found.share < found.upper < 0.40
    assert found.probability_reached == 1
    assert not found.at_least


def test_a_rule_that_never_gets_there_saves_nothing() -> None:
    found = saving([point(2, 1.0)], [point(1, 1.2), point(3, 1.1)])
    assert not found.reached
    assert math.isnan(found.share)


def test_a_cheapest_point_that_is_good_enough_is_a_lower_bound() -> None:
    found = saving([point(2, 1.0)], [point(1, 0.9), point(3, 0.5)])
    assert found.at_least
    assert found.share == 0.5


def test_a_saving_within_noise_has_no_finite_lower_bound() -> None:
    found = saving([point(2, 1.0, 0.2, 1)], [point(1, 0.99, 0.2, 2)])
    assert found.reached
    assert 0.3 < found.probability_reached < 0.7
    assert found.lower == -math.inf


def test_a_rule_that_needs_more_compute_has_a_negative_saving() -> None:
    found = saving([point(1, 1.0, 0.001, 1)], [point(1, 2.0, 0.001, 2), point(2, 0.5, 0.001, 3)])
    assert found.share == pytest.approx(-2 / 3)
    assert found.upper < 0


def test_doubt_about_the_baselines_best_point_widens_the_interval() -> None:
    """Two baseline points of one value and other costs: which is best is a coin toss, and the interval says so."""
    baseline = [point(1.0, 0.841, 0.03, 1), point(1.4, 0.840, 0.03, 2)]
    found = saving(baseline, [point(0.95, 0.70, 0.001, 3)])
    assert found.lower == pytest.approx(0.05)
    assert found.upper == pytest.approx(1 - 0.95 / 1.4)
