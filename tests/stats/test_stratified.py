"""Means over tasks: by brute force, by simulation, and where there is no error."""

from __future__ import annotations

import math
from collections import defaultdict

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sgbench.stats.estimates import GROUPS, Estimate, jackknife, mean_estimate, paired_difference, stratified_mean

Sample = tuple[list[float], list[int], list[int]]
few = settings(max_examples=40, deadline=None)


def sample_of(seed: int, strata: int) -> Sample:
    """Values, strata and clusters in any order; a stratum has 2 to 45 clusters, a cluster 1 to 4 images."""
    random = np.random.default_rng(seed)
    rows: list[tuple[float, int, int]] = []
    name = 0
    for stratum in range(strata):
        for _ in range(random.integers(2, 46)):
            # Numbers with gaps, as those of prompts that only some images show.
            name += int(random.integers(1, 4))
            rows += [(float(value), 10 * stratum, name) for value in random.normal(size=random.integers(1, 5))]
    values, numbers, clusters = zip(*[rows[i] for i in random.permutation(len(rows))], strict=True)
    return list(values), list(numbers), list(clusters)


samples = st.builds(sample_of, st.integers(0, 100_000), st.integers(1, 4))


def estimate(sample: Sample) -> Estimate:
    values, strata, clusters = sample
    return stratified_mean(np.array(values), np.array(strata), np.array(clusters))


def grouped(sample: Sample) -> dict[int, dict[int, list[float]]]:
    """stratum -> cluster -> values."""
    found: dict[int, dict[int, list[float]]] = defaultdict(lambda: defaultdict(list))
    for value, stratum, cluster in zip(*sample, strict=True):
        found[stratum][cluster].append(value)
    return found


def mean(values: list[float]) -> float:
    return sum(values) / len(values)


# By brute force


@few
@given(samples)
def test_the_value_is_the_plain_mean_of_the_means_of_strata(sample: Sample) -> None:
    means = [mean([v for values in clusters.values() for v in values]) for clusters in grouped(sample).values()]
    found = estimate(sample)
    assert found.value == found.corrected == pytest.approx(mean(means), abs=1e-12)


@few
@given(samples)
def test_the_error_is_that_of_sums_by_cluster(sample: Sample) -> None:
    total = 0.0
    for clusters in grouped(sample).values():
        every = [v for values in clusters.values() for v in values]
        residuals = [sum(v - mean(every) for v in values) for values in clusters.values()]
        count = len(clusters)
        total += count / (count - 1) * sum(r**2 for r in residuals) / len(every) ** 2
    strata = len(grouped(sample))
    assert estimate(sample).standard_error == pytest.approx(math.sqrt(total) / strata, abs=1e-12)


@pytest.mark.slow
@few
@given(samples)
def test_replicates_leave_out_every_twentieth_prompt_of_each_task(sample: Sample) -> None:
    expected = []
    for number in range(20):
        means = []
        for clusters in grouped(sample).values():
            left = [name for place, name in enumerate(sorted(clusters)) if place % 20 != number]
            means.append(mean([v for name in left for v in clusters[name]]))
        expected.append(mean(means))
    assert len(expected) == GROUPS
    assert estimate(sample).replicates == pytest.approx(expected, abs=1e-12)


# Laws


@few
@given(samples, st.integers(0, 1000))
def test_the_order_of_images_and_the_names_of_strata_mean_nothing(sample: Sample, seed: int) -> None:
    values, strata, clusters = (np.array(column) for column in sample)
    order = np.random.default_rng(seed).permutation(len(values))
    found, other = estimate(sample), stratified_mean(values[order], 7 - strata[order], clusters[order])
    assert found.value == pytest.approx(other.value, abs=1e-12)
    assert found.standard_error == pytest.approx(other.standard_error, abs=1e-12)
    assert found.replicates == pytest.approx(other.replicates, abs=1e-12)


@few
@given(samples, st.floats(-5, 5), st.floats(0.1, 10))
def test_shift_and_scale_pass_through(sample: Sample, shift: float, scale: float) -> None:
    values, strata, clusters = sample
    found, moved = estimate(sample), estimate(([scale * v + shift for v in values], strata, clusters))
    assert moved.value == pytest.approx(scale * found.value + shift, abs=1e-9)
    assert moved.standard_error == pytest.approx(scale * found.standard_error, abs=1e-9)


@few
@given(samples)
def test_one_stratum_is_a_mean_with_its_error_by_cluster(sample: Sample) -> None:
    values, _, clusters = sample
    found = estimate((values, [0] * len(values), clusters))
    if len(values) >= 20:
        plain = mean_estimate(np.array(values), np.array(clusters))
        assert found.value == pytest.approx(plain.value, abs=1e-12)
        assert found.standard_error == pytest.approx(plain.standard_error, abs=1e-12)


def test_a_large_stratum_weighs_no_more_than_a_small_one() -> None:
    values = np.array([1.0] * 30 + [0.0] * 3)
    assert stratified_mean(values, np.repeat([0, 1], [30, 3]), np.arange(33)).value == 0.5


def test_yes_and_no_count_as_one_and_zero() -> None:
    right = np.array([True, False, True, True])
    assert stratified_mean(right, np.array([0, 0, 1, 1]), np.arange(4)).value == 0.75


@pytest.mark.parametrize("clusters", [[0, 0, 1, 2], [0, 1, 2, 2]])
def test_a_stratum_with_one_cluster_has_no_error(clusters: list[int]) -> None:
    with pytest.raises(ValueError, match="a clustered error needs at least two clusters"):
        stratified_mean(np.ones(4), np.array([0, 0, 1, 1]), np.array(clusters))


# By simulation

CHANCES = (0.95, 0.7, 0.5, 0.6, 0.2, 0.3)
PROMPTS = (20, 40, 24, 40, 44, 44)


def images_of(random: np.random.Generator, each: int = 2) -> Sample:
    """Images of prompts, each prompt with its own chance around that of its task (beta, of four pseudo-counts)."""
    tasks = np.repeat(np.arange(6), PROMPTS)
    centres = np.array(CHANCES)[tasks]
    right = random.random((each, len(tasks))) < random.beta(4 * centres, 4 * (1 - centres))
    prompts = np.arange(len(tasks))
    return right.ravel().astype(float).tolist(), np.tile(tasks, each).tolist(), np.tile(prompts, each).tolist()


@pytest.mark.slow
def test_the_standard_error_covers_and_replicates_agree_with_it() -> None:
    """In 92 to 97 % of 600 samplings, 1.96 standard errors hold the truth, which is the mean of the six chances."""
    random = np.random.default_rng(5)
    found = [estimate(images_of(random)) for _ in range(600)]
    truth = mean(list(CHANCES))
    share = np.mean([abs(e.value - truth) <= 1.96 * e.standard_error for e in found])
    assert 0.92 <= share <= 0.97
    spread = np.std([e.value for e in found])
    assert np.sqrt(np.mean([e.standard_error**2 for e in found])) == pytest.approx(spread, rel=0.1)
    assert abs(np.mean([e.value for e in found]) - truth) < 3 * spread / np.sqrt(600)
    left_out = [jackknife(e.value, e.replicates).standard_error for e in found]
    assert np.sqrt(np.mean(np.square(left_out))) == pytest.approx(spread, rel=0.1)


def test_ignoring_prompts_would_make_the_error_too_small() -> None:
    values, tasks, prompts = images_of(np.random.default_rng(1), each=8)
    alone = list(range(len(values)))
    assert estimate((values, tasks, prompts)).standard_error > 1.2 * estimate((values, tasks, alone)).standard_error


@pytest.mark.slow
def test_paired_differences_of_two_models_cover_and_gain_from_common_prompts() -> None:
    """Two models whose chances differ by a tenth on the same prompts, of which some are hard for both."""
    random = np.random.default_rng(11)
    tasks = np.repeat(np.arange(6), PROMPTS)
    inside, paired, apart = [], [], []
    for _ in range(400):
        ease = random.uniform(0.1, 0.8, len(tasks))
        first, second = (
            stratified_mean((random.random(len(tasks)) < ease + more).astype(float), tasks, np.arange(len(tasks)))
            for more in (0.1, 0.0)
        )
        found = paired_difference(first.value, second.value, first.replicates, second.replicates)
        inside.append(found.lower <= 0.1 <= found.upper)
        paired.append(found.standard_error)
        apart.append(math.hypot(first.standard_error, second.standard_error))
    assert 0.92 <= np.mean(inside) <= 0.98
    assert np.mean(paired) < np.mean(apart)
