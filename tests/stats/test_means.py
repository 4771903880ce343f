"""Errors of means: the textbook's, and clustered ones by brute force."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sgbench.images.sets import ImageSetInfo
from sgbench.metrics.catalogue import METRICS
from sgbench.metrics.metric import FeatureMetric
from sgbench.stats.means import mean_estimate


@settings(max_examples=30, deadline=None)
@given(st.integers(0, 10_000), st.integers(20, 200))
def test_of_independent_values_is_the_textbook_error(seed: int, count: int) -> None:
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
    assert isinstance(metric, FeatureMetric)
    info = ImageSetInfo("", 1000, "balanced", "uint8", asked)
    found = metric.score(seen, info, None)  # type: ignore[arg-type]
    assert found["value"] == 0.9
    assert found["standard_error"] == pytest.approx(np.sqrt(0.9 * 0.1 / 999))
