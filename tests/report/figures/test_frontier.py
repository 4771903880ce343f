"""The frontier figure: standings are looks, the points that matter are named, axes suit the values."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd
import pytest
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from sgbench.report.figures import frontier
from sgbench.report.select_rows import with_quality

pytestmark = pytest.mark.slow

MODEL = "fashion-routing"
Row = Callable[..., dict[str, Any]]


def figure(rows: pd.DataFrame, metric: str = "fd") -> Figure:
    (drawn,) = frontier.draw(with_quality(rows, metric), MODEL, "", "gmacs_per_image")
    return drawn.figure


def marks(found: Figure) -> dict[str, int]:
    """How many marks are drawn as frontier, tie and dominated."""
    counts = {"frontier": 0, "tie": 0, "dominated": 0}
    for collection in found.axes[0].collections:
        if hasattr(collection, "get_sizes") and len(collection.get_offsets()):
            hollow = bool((collection.get_facecolor()[0][:3] == 1).all())
            state = "tie" if hollow else "dominated" if collection.get_alpha() else "frontier"
            counts[state] += len(collection.get_offsets())
    return counts


def three(row: Row) -> pd.DataFrame:
    """A frontier cell; one that is worse and dearer within its noise; one far beyond it."""
    noise = np.random.default_rng(1).normal(size=20)
    rows = [row("cfg", scale=s, fd=v, gmacs_per_image=g) for s, v, g in ((1, 0.2, 1), (2, 0.201, 2), (3, 0.9, 3))]
    rows[1]["fd_replicates"] = " ".join(f"{0.201 + 0.02 * z:.7g}" for z in noise)
    return pd.DataFrame(rows)


def test_a_cell_dominated_within_noise_is_hollow(row: Row) -> None:
    assert marks(figure(three(row))) == {"frontier": 1, "tie": 1, "dominated": 1}


def test_every_scored_cell_is_drawn_once(sweep: pd.DataFrame) -> None:
    sweep.loc[3, "fd"] = np.nan
    assert sum(marks(figure(sweep)).values()) == len(sweep) - 1


def test_the_points_that_matter_are_named_once(sweep: pd.DataFrame) -> None:
    texts = [text.get_text() for text in figure(sweep).axes[0].texts]
    assert "best: SG\nw 1.5, gamma 0.15 / 0.75, 10 steps" in texts
    assert any(text.startswith("as good as CFG's best") for text in texts)
    assert any("knee" in text for text in texts)


def test_no_label_covers_another_or_leaves_the_axes(sweep: pd.DataFrame) -> None:
    found = figure(sweep)
    renderer = FigureCanvasAgg(found).get_renderer()
    found.draw_without_rendering()
    axes = found.axes[0]
    boxes = [text.get_window_extent(renderer) if not text.arrow_patch else text.get_bbox_patch().get_window_extent()
             for text in axes.texts]  # fmt: skip
    assert len(boxes) > 2
    assert not any(a.overlaps(b) for a, b in itertools.combinations(boxes, 2))
    frame = axes.get_window_extent(renderer)
    assert all(frame.x0 <= box.x0 and box.x1 <= frame.x1 for box in boxes)


def test_the_baselines_best_is_a_line_and_what_is_as_good_is_ringed(sweep: pd.DataFrame) -> None:
    axes = figure(sweep).axes[0]
    target = sweep.loc[sweep["guidance"] == "cfg", "fd"].min()
    assert any(np.allclose(np.unique(line.get_ydata()), [target]) for line in axes.lines)
    (rings,) = [line for line in axes.lines if line.get_markersize() == 11]
    as_good = sweep[sweep["guidance"].isin(["sg", "ag+sg"]) & (sweep["fd"] <= target)]
    cheapest = as_good.groupby("guidance")["gmacs_per_image"].min()
    assert sorted(rings.get_xdata()) == pytest.approx(sorted(cheapest))


@pytest.mark.parametrize(("values", "scale"), [((0.1, 0.5), "log"), ((0.1, 0.2), "linear")])
def test_quality_is_logarithmic_from_a_factor_of_three(row: Row, values: tuple[float, float], scale: str) -> None:
    rows = pd.DataFrame([row("cfg", scale=1 + v, fd=v) for v in values])
    assert figure(rows).axes[0].get_yscale() == scale


def test_a_score_that_is_better_when_higher_stays_linear_and_says_so(sweep: pd.DataFrame) -> None:
    columns = {f"fd{end}": f"composition{end}" for end in ("", "_se", "_replicates")}
    rows = sweep.drop(columns=["fd_floor", "fd_protocol"]).rename(columns=columns)
    axes = figure(rows, "composition").axes[0]
    assert axes.get_yscale() == "linear"
    assert axes.get_ylabel() == "composition (higher is better), N = 480"
    best = rows.loc[rows["composition"].idxmax()]
    (named,) = [text for text in axes.texts if text.get_text().startswith("best")]
    assert named.xy == (best["gmacs_per_image"], best["composition"])


def test_cost_is_logarithmic_from_a_factor_of_five(row: Row) -> None:
    rows = pd.DataFrame([row("cfg", scale=1 + g, fd=1 / g, gmacs_per_image=g) for g in (1, 2, 6)])
    assert figure(rows).axes[0].get_xscale() == "log"
    assert figure(rows.iloc[:2]).axes[0].get_xscale() == "linear"


def test_many_cells_lose_their_bars_and_become_an_image(row: Row) -> None:
    random = np.random.default_rng(0)
    rows = pd.DataFrame(
        [row("cfg", scale=1 + n / 400, fd=1 + random.random(), gmacs_per_image=1 + random.random()) for n in range(400)]
    )
    axes = figure(rows).axes[0]
    bars = sum(len(c.get_segments()) for c in axes.collections if hasattr(c, "get_segments"))
    kept = marks(figure(rows))["frontier"]
    assert bars == kept < 40
    images = [c for c in axes.collections if c.get_rasterized()]
    assert sum(len(c.get_offsets()) for c in images) == 400 - kept


@pytest.mark.parametrize("cells", [1, 2])
def test_few_or_equal_cells_are_drawn(row: Row, cells: int) -> None:
    rows = pd.DataFrame([row("sg", 0, 0.7, fd=0.3, cell=str(n)) for n in range(cells)])
    assert sum(marks(figure(rows)).values()) == cells


def test_without_a_score_or_a_cost_there_is_no_figure(sweep: pd.DataFrame) -> None:
    rows = with_quality(sweep, "fd")
    assert frontier.draw(rows, MODEL, "", "joules_per_image") == []
    assert frontier.draw(rows.assign(quality=np.nan), MODEL, "", "gmacs_per_image") == []
