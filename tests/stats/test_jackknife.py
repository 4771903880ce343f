"""The jackknife against known answers and by simulation."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sgbench.metrics.numerics.frechet import fit, frechet_estimate, prepare_target
from sgbench.stats.jackknife import group_bounds, jackknife
from sgbench.stats.paired import paired_difference


@given(st.integers(20, 5000))
def test_groups_part_the_samples(samples: int) -> None:
    bounds = group_bounds(samples)
    assert bounds[0][0] == 0
    assert bounds[-1][1] == samples
    assert all(stop == start for (_, stop), (start, _) in itertools.pairwise(bounds))
    sizes = [stop - start for start, stop in bounds]
    assert max(sizes) - min(sizes) <= 1
    assert min(sizes) >= 2


def test_too_few_samples_are_refused() -> None:
    with pytest.raises(ValueError, match="19 samples cannot fill 10 groups"):
        group_bounds(19)


def test_of_a_mean_is_the_textbook_error() -> None:
    values = np.random.default_rng(0).normal(size=20)
    replicates = [float(np.delete(values, i).mean()) for i in range(20)]
    found = jackknife(float(values.mean()), replicates)
    assert found.standard_error == pytest.approx(values.std(ddof=1) / np.sqrt(20))
    assert found.corrected == pytest.approx(values.mean())


def test_paired_difference_is_tighter_when_both_move_together() -> None:
    rng = np.random.default_rng(2)
    shared = rng.normal(size=(1000, 4))
    reference = prepare_target(fit(rng.normal(size=(20000, 4))))
    first = frechet_estimate(shared + 0.30, reference)
    second = frechet_estimate(shared + 0.35, reference)
    paired = paired_difference(first.value, second.value, first.replicates, second.replicates)
    unpaired = np.hypot(first.standard_error, second.standard_error)
    assert paired.standard_error < unpaired / 3
    assert paired.significant
    assert paired.value == pytest.approx(first.value - second.value)
    assert paired.lower < paired.value < paired.upper
