"""Simulations: a 95 % interval must hold the truth in 92 to 97 % of samplings of known distributions.

The truth is known exactly: of Gaussians that commute for the Frechet distance, of Gaussian moments for the kernel
distance, of the mean for means. 1,000 samplings tell 95 % from 92 % or 97 % apart (their own error is 0.7 %).
"""

from __future__ import annotations

import itertools
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch

from sgbench.metrics.numerics.frechet import Gaussian, frechet_distance, frechet_estimate, prepare_target
from sgbench.metrics.numerics.kernel_distance import kernel_estimate, prepare_kid
from sgbench.stats.estimates import Estimate, mean_estimate, paired_difference, t_quantile

pytestmark = pytest.mark.slow

RUNS = 1000
Draw = Callable[[np.random.Generator], Estimate]


def coverage(draw: Draw, truth: float, seed: int) -> tuple[float, list[Estimate]]:
    rng = np.random.default_rng(seed)
    found = [draw(rng) for _ in range(RUNS)]
    half = t_quantile(20)
    return float(np.mean([abs(e.corrected - truth) <= half * e.standard_error for e in found])), found


@pytest.mark.parametrize(("dimension", "samples"), [(6, 400), pytest.param(12, 1000, marks=pytest.mark.full)])
def test_frechet_interval_covers_and_the_bias_is_taken_off(dimension: int, samples: int) -> None:
    target = prepare_target(Gaussian(np.zeros(dimension), np.eye(dimension)))
    scale = np.linspace(0.8, 1.3, dimension)
    truth = dimension * 0.3**2 + float(((scale - 1) ** 2).sum())
    assert truth == pytest.approx(frechet_distance(Gaussian(np.full(dimension, 0.3), np.diag(scale**2)), target))
    share, found = coverage(
        lambda rng: frechet_estimate(rng.normal(0.3, scale, (samples, dimension)), target), truth, 1
    )
    assert 0.92 <= share <= 0.97
    spread = np.std([e.corrected for e in found]) / np.sqrt(RUNS)
    assert abs(np.mean([e.corrected for e in found]) - truth) < 3 * spread
    assert np.mean([e.value for e in found]) - truth > 3 * spread


@pytest.mark.parametrize(
    ("dimension", "samples", "runs"),
    [(6, 400, 1000), pytest.param(96, 960, 60, marks=pytest.mark.full), (120, 90, 100)],
)
def test_what_a_report_prints_is_of_the_expected_distance_at_n(dimension: int, samples: int, runs: int) -> None:
    """Around the plain value the interval is of its own long-run mean, at any number of features: where there are many,
    or more than images, the jackknife is too careful, never too bold. The same for paired differences.
    """
    target = prepare_target(Gaussian(np.zeros(dimension), np.eye(dimension)))
    scale = np.linspace(0.8, 1.3, dimension)
    rng = np.random.default_rng(0)
    single, paired = [], []
    for _ in range(runs):
        shared = rng.normal(size=(samples, dimension))
        first, second = (frechet_estimate(m + s * scale * shared, target) for m, s in ((0.1, 1.0), (0.08, 0.97)))
        single.append((first.value, first.standard_error))
        gap = paired_difference(first.value, second.value, first.replicates, second.replicates)
        paired.append((gap.value, gap.standard_error))
    for found in (np.array(single), np.array(paired)):
        inside = np.abs(found[:, 0] - found[:, 0].mean()) <= t_quantile(20) * found[:, 1]
        assert inside.mean() >= 0.92
        # Not by being endless, either.
        assert np.mean(found[:, 1]) < 3 * np.std(found[:, 0])


@pytest.mark.full
def test_kernel_interval_covers() -> None:
    """In one dimension the kernel is 1 + 3 x y + 3 x^2 y^2 + x^3 y^3, and a Gaussian's moments are known."""
    real = np.random.default_rng(0).normal(size=(500, 1))
    target = prepare_kid(real, torch.device("cpu"))
    mean, deviation = 0.4, 1.2
    moments = [1, mean, mean**2 + deviation**2, mean**3 + 3 * mean * deviation**2]
    own = sum(c * m * m for c, m in zip((1, 3, 3, 1), moments, strict=True))
    cross = sum(c * m * float((real**j).mean()) for j, (c, m) in enumerate(zip((1, 3, 3, 1), moments, strict=True)))
    truth = own + target.within - 2 * cross
    share, found = coverage(lambda rng: kernel_estimate(rng.normal(mean, deviation, (500, 1)), target), truth, 2)
    assert 0.92 <= share <= 0.97
    # Unbiased as it is.
    spread = np.std([e.value for e in found]) / np.sqrt(RUNS)
    assert abs(np.mean([e.value for e in found]) - truth) < 3 * spread


def test_interval_of_a_mean_covers() -> None:
    share, _ = coverage(lambda rng: mean_estimate(rng.exponential(size=500)), 1.0, 3)
    assert 0.92 <= share <= 0.97


@pytest.mark.full
def test_interval_of_a_paired_difference_covers() -> None:
    """Two sets that share their noise, at different distances from one reference."""
    dimension, samples = 6, 400
    target = prepare_target(Gaussian(np.zeros(dimension), np.eye(dimension)))
    truth = dimension * (0.3**2 - 0.25**2) + dimension * (0.2**2 - 0.1**2)
    rng = np.random.default_rng(4)
    inside, ratios = 0, []
    for _ in range(RUNS):
        shared = rng.normal(size=(samples, dimension))
        first, second = (frechet_estimate(m + s * shared, target) for m, s in ((0.3, 1.2), (0.25, 1.1)))
        gap = paired_difference(first.corrected, second.corrected, first.replicates, second.replicates)
        inside += gap.lower <= truth <= gap.upper
        ratios.append(np.hypot(first.standard_error, second.standard_error) / gap.standard_error)
    assert 0.92 <= inside / RUNS <= 0.97
    assert np.median(ratios) > 2


ROWS = Path(__file__).parents[2] / "results" / "fashion-mnist" / "rows.csv"


def test_pairing_on_the_embedded_suite() -> None:
    """On the committed rows: three times narrower for the comparison that the report turns on, CFG against CFG+SG, each
    at its best; over cells that are one step of one setting apart, more than twice as narrow in the median.
    """
    rows = pd.read_csv(ROWS)
    rows = rows[rows["model"] == "fashion-routing"].reset_index(drop=True)
    replicates = np.array([[float(part) for part in text.split()] for text in rows["fd_replicates"]])

    def ratio(i: int, j: int) -> float:
        gap = paired_difference(rows["fd"][i], rows["fd"][j], replicates[i].tolist(), replicates[j].tolist())
        return float(np.hypot(rows["fd_se"][i], rows["fd_se"][j]) / gap.standard_error)

    best = [
        int(rows.index[rows["guidance"] == rule][rows["fd"][rows["guidance"] == rule].argmin()])
        for rule in ("cfg", "cfg+sg")
    ]
    assert ratio(*best) >= 3
    settings = ["guidance", "scale", "gamma_strong", "gamma_weak", "steps"]
    neighbours = [
        ratio(i, j)
        for i, j in itertools.combinations(range(len(rows)), 2)
        if (rows.loc[i, settings] != rows.loc[j, settings]).sum() == 1 and rows["guidance"][i] == rows["guidance"][j]
    ]
    assert len(neighbours) > 30
    assert np.median(neighbours) > 2
