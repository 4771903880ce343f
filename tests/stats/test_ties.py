"""Standings on points whose answer is known, and against the paired difference of every pair."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import t

from sgbench.stats import frontier as frontier_module
from sgbench.stats.estimates import paired_difference
from sgbench.stats.frontier import Point, frontier, standings

few = settings(max_examples=60, deadline=None)


def cloud(count: int, error: float, shared: float, seed: int) -> list[Point]:
    """Points on a coarse grid whose replicates share a part of their noise."""
    rng = np.random.default_rng(seed)
    common = shared * rng.normal(size=20)
    grid = rng.integers(1, 6, (count, 2)).astype(float).tolist()
    return [Point(c, v, tuple((v + common + error * rng.normal(size=20)).tolist())) for c, v in grid]


def worse_beyond_noise(point: Point, rival: Point, rivals: int) -> bool:
    """By a difference whose interval would hold for as many rivals."""
    gap = paired_difference(point.value, rival.value, point.replicates, rival.replicates)
    width = t.ppf(1 - 0.025 / rivals, len(point.replicates) - 1)
    return rival.cost <= point.cost and gap.value > width * gap.standard_error


@pytest.mark.slow
@pytest.mark.parametrize("chunk", [1, 3, 256])
@few
@given(st.integers(1, 12), st.floats(0.01, 1), st.floats(0, 1), st.integers(0, 2**32))
def test_a_dominated_point_has_a_rival_that_is_better_beyond_noise(
    chunk: int, count: int, error: float, shared: float, seed: int
) -> None:
    points = cloud(count, error, shared, seed)
    kept = frontier([p.cost for p in points], [p.value for p in points])
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(frontier_module, "CHUNK", chunk)
        found = standings(points)
    for index, point in enumerate(points):
        rivals = sum(other.cost <= point.cost for other in points) - 1
        beaten = rivals > 0 and any(worse_beyond_noise(point, rival, rivals) for rival in points)
        assert found[index] == ("frontier" if index in kept else "dominated" if beaten else "tie")


def test_noise_in_common_does_not_hide_a_difference() -> None:
    """The same two errors, once moving together and once apart."""
    noise = np.random.default_rng(1).normal(size=(2, 20)) * 0.05
    rival, other = Point(1, 1.0, tuple(1.0 + noise[0])), Point(2, 1.05, tuple(1.05 + noise[1]))
    assert standings([rival, other]) == ["frontier", "tie"]
    assert standings([rival, Point(2, 1.05, tuple(1.05 + noise[0]))]) == ["frontier", "dominated"]


def test_a_point_that_costs_more_dominates_nothing() -> None:
    assert standings([Point(2, 0.0, (0.0,) * 20), Point(1, 9.0, (9.0,) * 20)]) == ["frontier", "frontier"]


def test_the_same_cell_twice_is_a_tie_with_itself() -> None:
    assert standings([Point(1, 1.0, (1.0,) * 20)] * 2) == ["frontier", "tie"]


def test_a_rival_off_the_frontier_can_be_the_one_that_tells() -> None:
    """The frontier's point is too noisy to tell; another cheaper one moves with the point, and can."""
    noise = np.random.default_rng(2).normal(size=(2, 20)) * np.array([[1.0], [0.01]])
    best = Point(1, 1.0, tuple(1.0 + noise[0]))
    rival, point = Point(1, 1.1, tuple(1.1 + noise[1])), Point(2, 1.2, tuple(1.2 + noise[1]))
    assert standings([best, point]) == ["frontier", "tie"]
    assert standings([best, rival, point]) == ["frontier", "tie", "dominated"]


def test_no_points_have_no_standings() -> None:
    assert standings([]) == []


@pytest.mark.slow
@pytest.mark.parametrize("error", [0.01, 100.0])
def test_thousands_of_points_are_told_apart_or_tied(error: float) -> None:
    rng = np.random.default_rng(0)
    points = [Point(c, v, tuple(v + error * rng.normal(size=20))) for c, v in rng.uniform(1, 2, (5000, 2)).tolist()]
    assert ("dominated" in standings(points)) == (error < 1)


def test_cells_alike_are_rarely_called_dominated() -> None:
    """Of thirty cells of one truth and cost, some rival always looks better; by chance alone 5 % may be called so."""
    rng = np.random.default_rng(0)
    called = 0
    for _ in range(100):
        # Twenty groups of images: replicates as the jackknife makes them of independent group means.
        means = rng.normal(size=(30, 20))
        values, left = means.mean(axis=1), (means.sum(axis=1, keepdims=True) - means) / 19
        called += standings([Point(1, v, tuple(r)) for v, r in zip(values, left.tolist(), strict=True)]).count(
            "dominated"
        )
    assert called / 3000 < 0.05
