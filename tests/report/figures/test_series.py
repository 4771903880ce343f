"""Figures along one setting: gamma, training iterations, the age of a weak checkpoint, LPIPS."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd
import pytest
from scipy.integrate import trapezoid

from sgbench.report.figures import diversity, series
from sgbench.report.select_rows import with_quality

MODEL = "fashion-routing"
Row = Callable[..., dict[str, Any]]


def quality(rows: list[dict[str, Any]]) -> pd.DataFrame:
    return with_quality(pd.DataFrame(rows), "fd")


def checkpoint(epochs: int, tail: str = "", weak: int | None = None) -> str:
    auxiliary = "" if weak is None else f" auxiliary=checkpoints/run-{weak}ep.safetensors"
    return f"tread-sit XL/2 256 weights=checkpoints/run-{epochs}ep{tail}.safetensors{auxiliary}"


def test_unguided_quality_is_drawn_by_gamma(sweep: pd.DataFrame) -> None:
    shuffled = sweep.sample(frac=1, random_state=0)
    (drawn,) = series.draw_gammas(with_quality(shuffled, "fd"), MODEL, "")
    line = drawn.figure.axes[0].lines[0]
    own = sweep[sweep["guidance"] == "none"]
    assert line.get_xdata() == pytest.approx([0, 0.15, 0.3, 0.45, 0.6, 0.75, 0.9])
    assert line.get_ydata() == pytest.approx(own["fd"])


def test_two_gammas_are_no_series(row: Row) -> None:
    rows = [row("none", 0), row("none", 0.5), row("none", 0.7, steps=20)]
    assert series.draw_gammas(quality(rows), MODEL, "") == []


def test_training_takes_the_best_cell_of_each_checkpoint_and_run(row: Row) -> None:
    rows = []
    for epochs, fd in ((80, 4.0), (160, 3.0), (400, 2.5)):
        rows += [row("cfg", scale=s, model=checkpoint(epochs), iterations=5e3 * epochs, fd=fd + s) for s in (1.5, 2)]
    tuned = checkpoint(160, "-dense")
    rows.append(row("cfg", scale=1.5, model=tuned, iterations=9e5, fd=2.4))
    (drawn,) = series.draw_training(
        quality(rows), {m: f"-{n}" if n else "" for n, m in enumerate([r["model"] for r in rows])}
    )
    assert drawn.name == "training-1"
    run, fine_tune = (line for line in drawn.figure.axes[0].lines if len(line.get_xdata()) and line.get_marker() == "s")
    assert run.get_xdata() == pytest.approx([4e5, 8e5, 2e6])
    assert run.get_ydata() == pytest.approx([5.5, 4.5, 4.0])
    assert fine_tune.get_xdata() == pytest.approx([9e5])
    assert fine_tune.get_linestyle() != run.get_linestyle()


def test_one_checkpoint_is_no_training(row: Row) -> None:
    rows = [row("cfg", model=checkpoint(80), iterations=4e5), row("cfg", model=MODEL, iterations=1e4)]
    assert series.draw_training(quality(rows), {checkpoint(80): "", MODEL: "-b"}) == []
    assert series.draw_training(quality([row("cfg")]), {MODEL: ""}) == []


def test_age_is_a_share_of_the_main_checkpoints(row: Row) -> None:
    rows = []
    for weak, fd in ((160, 10.4), (10, 9.15), (20, 9.0)):
        facts = {"model": checkpoint(400, weak=weak), "iterations": 2e6, "auxiliary_iterations": 5e3 * weak}
        rows += [row("ag", fd=fd, **facts), row("ag", scale=2.0, fd=fd + 1, **facts), row("cfg", **facts)]
    models = dict.fromkeys([r["model"] for r in rows], "")
    (drawn,) = series.draw_weak_ages(quality(rows), models)
    assert drawn.name == "weak-checkpoint"
    assert "2,000,000 iterations" in drawn.caption
    (line,) = [one for one in drawn.figure.axes[0].lines if one.get_marker() == "v"]
    assert line.get_xdata() == pytest.approx([0.025, 0.05, 0.4])
    assert line.get_ydata() == pytest.approx([9.15, 9.0, 10.4])


def test_lpips_is_of_each_rules_best_cell(row: Row) -> None:
    near, far = (" ".join(f"{c + p / 1000:.5g}" for p in range(1, 100)) for c in (0.1, 0.5))
    rows = [row("none"), row("none", 0.5, lpips_percentiles=far), row("cfg", fd=0.1, lpips_percentiles=near),
            row("cfg", scale=3.0, fd=0.5, lpips_percentiles=far)]  # fmt: skip
    (drawn,) = diversity.draw_lpips(quality(rows), MODEL, "")
    curve, median = drawn.figure.axes[0].lines
    assert (min(curve.get_xdata()), max(curve.get_xdata())) == pytest.approx((0.101, 0.199))
    assert median.get_xdata() == pytest.approx([0.15])
    assert "CFG w 1.6, 10 steps." in drawn.caption


def test_a_density_of_uniform_distances_is_flat_and_holds_most_of_them() -> None:
    places, height = diversity.density(np.linspace(0.01, 0.99, 99))
    inside = (places > 0.25) & (places < 0.75)
    assert height[inside] == pytest.approx(np.ones(inside.sum()), abs=0.05)
    assert 0.85 < trapezoid(height, places) < 0.98


def test_without_distances_there_is_no_density(row: Row) -> None:
    equal = " ".join(["0.2"] * 99)
    assert diversity.draw_lpips(quality([row("cfg")]), MODEL, "") == []
    assert diversity.draw_lpips(quality([row("cfg", lpips_percentiles=equal)]), MODEL, "") == []
