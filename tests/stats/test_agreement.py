"""Agreement of two rankings: Kendall's tau and its error."""

from __future__ import annotations

import numpy as np
import pytest

from sgbench.stats.agreement import agreement


def spread(values: list[float], error: float, seed: int) -> list[list[float]]:
    noise = np.random.default_rng(seed).normal(size=(len(values), 20))
    return [[v + error * z for z in row] for v, row in zip(values, noise, strict=True)]


def test_the_same_the_reverse_and_one_swap() -> None:
    values = [1.0, 2.0, 3.0, 4.0]
    sure = spread(values, 1e-6, 0)
    assert agreement(values, [v * 10 for v in values], sure, sure) == (1.0, 1.0, 1.0)
    assert agreement(values, [-v for v in values], sure, [[-x for x in row] for row in sure]).tau == -1.0
    # One of six pairs in the other order.
    swapped = [1.0, 3.0, 2.0, 4.0]
    assert agreement(values, swapped, sure, spread(swapped, 1e-6, 1)).tau == pytest.approx(4 / 6)


def test_noise_widens_the_interval() -> None:
    values = [1.0, 1.01, 1.02, 1.03, 2.0]
    wide = agreement(values, values, spread(values, 0.05, 1), spread(values, 0.05, 2))
    assert wide.lower < 0.7
    assert wide.upper == 1.0
