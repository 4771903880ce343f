"""Jackknife, means and agreement of rankings against known answers and by brute force."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sgbench.images.sets import ImageSetInfo
from sgbench.metrics.catalogue import METRICS
from sgbench.metrics.metric import ImageMetric
from sgbench.metrics.numerics.frechet import fit, frechet_estimate, prepare_target
from sgbench.metrics.numerics.values import image_fields
from sgbench.stats.estimates import agreement, group_bounds, jackknife, mean_estimate, paired_difference


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


def test_the_jackknife_of_a_mean_is_the_textbook_error() -> None:
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


@settings(max_examples=30, deadline=None)
@given(st.integers(0, 10_000), st.integers(20, 200))
def test_the_error_of_a_mean_is_the_textbook_one(seed: int, count: int) -> None:
    values = np.random.default_rng(seed).normal(size=count)
    found = mean_estimate(values)
    assert found.value == pytest.approx(values.mean())
    assert found.standard_error == pytest.approx(values.std(ddof=1) / np.sqrt(count))
    alone = mean_estimate(values, np.arange(count))
    assert alone.standard_error == pytest.approx(found.standard_error)


def test_four_equal_images_of_a_prompt_count_as_one() -> None:
    by_prompt = np.random.default_rng(0).normal(size=50)
    clusters = np.repeat(np.arange(50) * 7, 4)
    found = mean_estimate(np.repeat(by_prompt, 4), clusters)
    assert found.standard_error == pytest.approx(by_prompt.std(ddof=1) / np.sqrt(50))
    assert found.standard_error > 1.9 * mean_estimate(np.repeat(by_prompt, 4)).standard_error


def test_label_agreement_is_a_share_with_a_binomial_error() -> None:
    asked = np.arange(1000) % 10
    seen = asked.copy()
    wrong = np.random.default_rng(0).permutation(1000)[:100]
    seen[wrong] = (seen[wrong] + 1) % 10
    metric = METRICS["label_agreement"]
    assert isinstance(metric, ImageMetric)
    info = ImageSetInfo("", 1000, "balanced", "uint8", asked)
    found = image_fields(metric.values(seen, asked), info)
    assert found["value"] == 0.9
    assert found["standard_error"] == pytest.approx(np.sqrt(0.9 * 0.1 / 999))


def spread(values: list[float], error: float, seed: int) -> list[list[float]]:
    noise = np.random.default_rng(seed).normal(size=(len(values), 20))
    return [[v + error * z for z in row] for v, row in zip(values, noise, strict=True)]


def test_agreement_of_the_same_the_reverse_and_one_swap() -> None:
    values = [1.0, 2.0, 3.0, 4.0]
    sure = spread(values, 1e-6, 0)
    assert agreement(values, [v * 10 for v in values], sure, sure) == (1.0, 1.0, 1.0)
    assert agreement(values, [-v for v in values], sure, [[-x for x in row] for row in sure]).value == -1.0
    # One of six pairs in the other order.
    swapped = [1.0, 3.0, 2.0, 4.0]
    assert agreement(values, swapped, sure, spread(swapped, 1e-6, 1)).value == pytest.approx(4 / 6)


def test_noise_widens_the_interval_of_an_agreement() -> None:
    values = [1.0, 1.01, 1.02, 1.03, 2.0]
    wide = agreement(values, values, spread(values, 0.05, 1), spread(values, 0.05, 2))
    assert wide.lower < 0.7
    assert wide.upper == 1.0
