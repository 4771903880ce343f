"""Frontiers and savings on points whose answer is known."""

from __future__ import annotations

import itertools
import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sgbench.stats.frontier import Point, cost_to_reach, draws, frontier, interval, interval_around, saving

POINTS = st.lists(st.tuples(st.floats(0.1, 10), st.floats(0, 10)), min_size=1, max_size=20)
few = settings(max_examples=60, deadline=None)


def point(cost: float, value: float, error: float = 0.0, seed: int = 0) -> Point:
    """A point whose jackknife error is `error`, independent of others with another seed."""
    noise = np.random.default_rng(seed).normal(size=20)
    noise = (noise - noise.mean()) / np.sqrt(19 / 20 * ((noise - noise.mean()) ** 2).sum()) if error else 0 * noise
    return Point(cost, value, tuple(value + error * noise))


@pytest.mark.slow
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


@pytest.mark.slow
@given(POINTS)
def test_a_frontier_rises_in_cost_and_falls_in_value(pairs: list[tuple[float, float]]) -> None:
    costs, values = zip(*pairs, strict=True)
    kept = frontier(costs, values)
    assert all(costs[a] < costs[b] and values[a] > values[b] for a, b in itertools.pairwise(kept))


def reach(costs: list[float], values: list[float], target: float) -> float:
    """What `cost_to_reach` answers of one draw, stated with the frontier itself."""
    kept = frontier(costs, values)
    if values[kept[-1]] > target:
        return math.nan
    first = next(k for k, index in enumerate(kept) if values[index] <= target)
    if first == 0:
        return costs[kept[0]]
    before, after = kept[first - 1], kept[first]
    share = (values[before] - target) / (values[before] - values[after])
    return costs[before] + share * (costs[after] - costs[before])


def test_cost_to_reach_interpolates_and_never_extrapolates() -> None:
    costs, values = np.array([1.0, 2.0, 4.0]), np.tile([3.0, 2.0, 1.0], (4, 1))
    found = cost_to_reach(costs, values, np.array([2.5, 1.5, 5.0, 0.9]))
    assert found[:3].tolist() == [1.5, 3.0, 1.0]
    assert math.isnan(found[3])


@pytest.mark.slow
@few
@given(st.data())
def test_every_draw_is_answered_as_its_own_frontier_would(data: st.DataObject) -> None:
    """Coarse numbers, so that equal costs, equal values and targets on a point are common."""
    coarse = st.integers(0, 6).map(float)
    count = data.draw(st.integers(1, 8))
    costs = data.draw(st.lists(coarse, min_size=count, max_size=count))
    draw = st.tuples(st.lists(coarse, min_size=count, max_size=count), st.floats(-1, 7))
    values, targets = zip(*data.draw(st.lists(draw, min_size=1, max_size=5)), strict=True)
    found = cost_to_reach(np.array(costs), np.array(values), np.array(targets))
    wanted = [reach(costs, own, target) for own, target in zip(values, targets, strict=True)]
    assert found.tolist() == pytest.approx(wanted, nan_ok=True)


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


def test_the_baseline_may_be_any_rule() -> None:
    """What one saves is what the other spends more, where both reach one value at one setting each."""
    first, second = [point(1.0, 1.0)], [point(4.0, 1.0)]
    assert saving(second, first).share == 0.75
    assert saving(first, second).share == -3.0


@few
@given(st.lists(st.floats(-5, 5), min_size=1, max_size=60), st.floats(-5, 5))
def test_an_interval_around_an_estimate_is_even_and_holds_the_middle_of_the_draws(
    drawn: list[float], estimate: float
) -> None:
    lower, upper = interval_around(estimate, np.array(drawn), 20)
    assert estimate - lower == pytest.approx(upper - estimate)
    low, high = interval(np.array(drawn))
    assert lower <= low + 1e-12
    assert high - 1e-12 <= upper
