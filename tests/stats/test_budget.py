"""The best within a budget, and how often its interval holds the truth."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sgbench.stats.estimates import paired_difference
from sgbench.stats.frontier import Point, best_within, budget_difference

PAIRS = st.lists(st.tuples(st.floats(0.1, 10), st.floats(0, 10)), min_size=1, max_size=12)
few = settings(max_examples=60, deadline=None)


def plain(*cells: tuple[float, float]) -> list[Point]:
    return [Point(cost, value, (value,) * 20) for cost, value in cells]


@few
@given(PAIRS, st.floats(0.1, 12))
def test_nothing_affordable_is_better(pairs: list[tuple[float, float]], budget: float) -> None:
    found = best_within(plain(*pairs), budget)
    affordable = [value for cost, value in pairs if cost <= budget]
    if found is None:
        assert affordable == []
    else:
        assert pairs[found][0] <= budget * (1 + 1e-8)
        assert pairs[found][1] <= min(affordable, default=np.inf)


def test_of_equals_the_cheapest_is_named() -> None:
    assert best_within(plain((2, 1.0), (1, 1.0), (0.5, 3.0)), 2) == 1


def test_rounding_of_a_budget_costs_no_cell() -> None:
    assert best_within(plain((0.1 + 0.2, 1.0)), 0.3) == 0


def test_nothing_is_interpolated_or_taken_from_beyond() -> None:
    cells = plain((1, 5.0), (3, 1.0))
    assert best_within(cells, 2.9) == 0
    assert best_within(cells, 0.9) is None


def test_a_rule_without_a_cell_in_the_budget_is_not_compared() -> None:
    cheap, dear = plain((1, 5.0)), plain((3, 1.0))
    assert budget_difference(cheap, dear, 2) is None
    assert budget_difference(dear, cheap, 2) is None
    assert budget_difference(cheap, dear, 3) == (-4, 0, -4, -4)


def test_with_one_cell_each_it_is_the_paired_difference() -> None:
    noise = 0.1 * np.random.default_rng(1).normal(size=(2, 20))
    first, second = (Point(1, 1.0, tuple((1 + own).tolist())) for own in noise)
    found = budget_difference([first], [second], 1)
    wanted = paired_difference(second.value, first.value, second.replicates, first.replicates)
    assert found is not None
    assert found.value == wanted.value
    assert found[1:] == pytest.approx(wanted[1:], rel=0.08)


def sampled(rng: np.random.Generator, truths: list[float]) -> list[Point]:
    """One sampling of cells of known values: means of twenty groups of images, with their replicates."""
    groups = np.array(truths) + rng.normal(size=(20, len(truths)))
    left_out = (groups.sum(axis=0) - groups) / 19
    return [Point(1, m, tuple(own)) for m, own in zip(groups.mean(axis=0), left_out.T.tolist(), strict=True)]


@pytest.mark.slow
@pytest.mark.parametrize(
    ("baseline", "rule", "least"),
    [([0.0], [0.0], 0.92), ([0.0], [0.0] * 5, 0.90), ([0.0] * 5, [0.0] * 5, 0.92), ([0.0, 0.1], [0.5, 0.6], 0.92)],
    ids=["one and one", "one and five", "five and five", "apart"],
)
def test_the_interval_holds_the_truth_though_the_best_of_many_looks_better_than_it_is(
    baseline: list[float], rule: list[float], least: float
) -> None:
    """The middle of the draws alone would hold it in 73 % of samplings of one cell against five."""
    rng = np.random.default_rng(0)
    truth = min(rule) - min(baseline)
    held = 0
    for _ in range(300):
        found = budget_difference(sampled(rng, baseline), sampled(rng, rule), 1)
        assert found is not None
        held += found.lower <= truth <= found.upper
    assert held / 300 >= least
