"""Changes against scipy's t-tests, and the laws of Holm's correction."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import ttest_ind, ttest_rel

from sgbench.compare.lines import Score
from sgbench.compare.verdicts import holm, paired_change, unpaired_change

Make = Callable[..., Score]
PS = st.lists(st.floats(0, 1), min_size=1, max_size=30)


@pytest.mark.parametrize("shift", [0.0, 0.3, 2.0])
def test_a_paired_change_of_means_is_the_paired_t_test(score: Make, shift: float) -> None:
    rng = np.random.default_rng(1)
    a = rng.normal(size=20)
    b = a + shift + 0.5 * rng.normal(size=20)
    found, oracle = paired_change(score(a), score(b)), ttest_rel(b, a)
    assert found.p == pytest.approx(oracle.pvalue, rel=1e-9)
    assert (found.lower, found.upper) == pytest.approx(tuple(oracle.confidence_interval(0.95)), rel=1e-9)


@pytest.mark.parametrize(("groups", "spread"), [(20, 1.0), (10, 1.0), (20, 5.0)])
def test_an_unpaired_change_of_means_is_welchs_t_test(score: Make, groups: int, spread: float) -> None:
    rng = np.random.default_rng(2)
    a, b = rng.normal(size=20), rng.normal(0.4, spread, groups)
    found, oracle = unpaired_change(score(a), score(b)), ttest_ind(b, a, equal_var=False)
    assert found.p == pytest.approx(oracle.pvalue, rel=1e-9)
    assert (found.lower, found.upper) == pytest.approx(tuple(oracle.confidence_interval(0.95)), rel=1e-9)


def test_without_any_error_a_change_is_certain_and_equality_no_change(score: Make) -> None:
    for change in (paired_change, unpaired_change):
        assert change(score([1.0] * 20), score([2.0] * 20)).p == 0
        assert change(score([1.0] * 20), score([1.0] * 20)).p == 1


def test_holm_by_hand() -> None:
    """4 x 0.005, 3 x 0.01, then 2 x 0.03, which the last must not fall below."""
    assert holm([0.01, 0.04, 0.03, 0.005]) == pytest.approx([0.03, 0.06, 0.06, 0.02])
    assert holm([]) == []


@pytest.mark.slow
@given(PS)
def test_holm_lies_between_no_correction_and_bonferroni(p: list[float]) -> None:
    for raw, adjusted in zip(p, holm(p), strict=True):
        assert raw <= adjusted <= min(1, len(p) * raw)


@pytest.mark.slow
@given(PS)
def test_holm_keeps_the_order(p: list[float]) -> None:
    pairs = sorted(zip(p, holm(p), strict=True))
    assert [adjusted for _, adjusted in pairs] == sorted(adjusted for _, adjusted in pairs)


@pytest.mark.slow
@given(PS, st.floats(0, 1))
def test_one_more_comparison_never_makes_others_more_significant(p: list[float], more: float) -> None:
    assert all(a <= b for a, b in zip(holm(p), holm([*p, more]), strict=False))
