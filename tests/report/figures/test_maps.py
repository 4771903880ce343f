"""Maps over both gammas: what is a grid, where cells lie, which end is bright, what is marked."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd
import pytest
from matplotlib.collections import PathCollection, QuadMesh

from sgbench.report.figures import heat_map, speed
from sgbench.report.figures.grids import edges, grids
from sgbench.report.select_rows import with_quality

MODEL = "fashion-routing"
Row = Callable[..., dict[str, Any]]


def test_a_grid_holds_every_cell_of_its_rule(sweep: pd.DataFrame) -> None:
    (grid,) = grids(sweep, MODEL, "sg")
    assert [panel.scale for panel in grid.panels] == [1.5, 2.0]
    assert grid.strong.tolist() == [0, 0.15, 0.3, 0.45, 0.6]
    assert grid.weak.tolist() == [0.15, 0.3, 0.45, 0.6, 0.75, 0.9]
    for panel in grid.panels:
        values = panel.values(grid.strong, grid.weak, "fd")
        own = sweep[(sweep["guidance"] == "sg") & (sweep["scale"] == panel.scale)]
        assert np.isfinite(values).sum() == len(own) == 20
        for strong, weak, fd in zip(own["gamma_strong"], own["gamma_weak"], own["fd"], strict=True):
            assert values[grid.weak.tolist().index(weak), grid.strong.tolist().index(strong)] == fd


def test_other_settings_make_other_grids_the_largest_first(row: Row) -> None:
    rows = [row("ag+sg", s, w, steps=20) for s in (0, 0.3, 0.6) for w in (0.5, 0.7)]
    rows += [row("ag+sg", s, w) for s in (0, 0.3, 0.6) for w in (0.5, 0.7, 0.9)]
    assert [grid.settings for grid in grids(pd.DataFrame(rows), MODEL, "ag+sg")] == ["10 steps", "20 steps"]


def test_schedules_and_lines_are_no_grid(row: Row) -> None:
    line = pd.DataFrame([row("sg", 0, w) for w in (0.1, 0.3, 0.5, 0.7, 0.9)])
    assert grids(line, MODEL, "sg") == []
    schedules = [row("ag+sg", "cosine 0 to 0.6", w) for w in ("0.5", "0.7", "0.9")]
    text = [row("ag+sg", str(s), str(w)) for s in (0.0, 0.3, 0.6) for w in (0.5, 0.7)]
    (grid,) = grids(pd.DataFrame(schedules + text), MODEL, "ag+sg")
    assert len(grid.rows) == 6


def test_edges_are_half_way() -> None:
    assert edges(np.array([0, 0.2, 0.6])) == pytest.approx([-0.1, 0.1, 0.4, 0.8])


@pytest.mark.slow
@pytest.mark.parametrize(("metric", "best"), [("fd", "min"), ("precision", "max")])
def test_the_best_cell_is_brightest_and_starred(sweep: pd.DataFrame, metric: str, best: str) -> None:
    drawn = heat_map.draw(with_quality(sweep, metric), MODEL, "")
    assert [one.name for one in drawn] == ["heat-map-sg", "heat-map-ag-sg"]
    own = sweep[sweep["guidance"] == "sg"]
    at = own.loc[getattr(own[metric], f"idx{best}")()]
    panes = [axes for axes in drawn[0].figure.axes if axes.get_title()]
    meshes = [next(c for c in axes.collections if isinstance(c, QuadMesh)) for axes in panes]
    assert len({(mesh.norm.vmin, mesh.norm.vmax) for mesh in meshes}) == 1
    light = [mesh.to_rgba(float(value))[:3] @ np.array([0.2126, 0.7152, 0.0722])
             for mesh in meshes[:1] for value in (at[metric], own[metric].median())]  # fmt: skip
    assert light[0] > light[1]
    pane = next(axes for axes in panes if axes.get_title() == f"w = {at['scale']:g}")
    star = [c for c in pane.collections if isinstance(c, PathCollection)][-1]
    assert star.get_offsets().tolist() == [[at["gamma_strong"], at["gamma_weak"]]]


@pytest.mark.slow
def test_blank_places_are_counted(sweep: pd.DataFrame) -> None:
    sg, ag = heat_map.draw(with_quality(sweep, "fd"), MODEL, "")
    assert "20 of 60 combinations are blank" in sg.caption
    assert "blank" not in ag.caption


def test_panels_without_a_scale_are_removed(row: Row) -> None:
    gammas = [(strong, weak) for strong in (0.0, 0.2, 0.4) for weak in (0.5, 0.7)]
    rows = pd.DataFrame([row("sg", *pair, scale=scale) for pair in gammas for scale in (1.2, 1.4, 1.6, 1.8)])
    (drawn,) = heat_map.draw(with_quality(rows, "fd"), "fashion-routing", "")
    panels = [axes.get_title() for axes in drawn.figure.axes]
    assert panels == ["w = 1.2", "w = 1.4", "w = 1.6", "w = 1.8", ""]  # the last is the colour bar


def test_contours_need_four_by_four(row: Row) -> None:
    def contours(weak: tuple[float, ...]) -> int:
        rows = pd.DataFrame([row("ag+sg", s, w) for s in (0, 0.2, 0.4, 0.6) for w in weak])
        (drawn,) = heat_map.draw(with_quality(rows, "fd"), MODEL, "")
        return sum(type(c).__name__ == "QuadContourSet" for c in drawn.figure.axes[0].collections)

    assert contours((0, 0.3, 0.6)) == 0
    assert contours((0, 0.3, 0.6, 0.9)) == 1


@pytest.mark.slow
def test_equal_cells_are_drawn(row: Row) -> None:
    rows = pd.DataFrame([row("ag+sg", s, w, fd=0.3) for s in (0, 0.2, 0.4, 0.6) for w in (0, 0.3, 0.6, 0.9)])
    (drawn,) = heat_map.draw(with_quality(rows, "fd"), MODEL, "")
    drawn.figure.draw_without_rendering()


def test_throughput_is_against_the_dense_cell(row: Row) -> None:
    rows = pd.DataFrame([row("cfg+sg", s, w) for s in (0, 0.4, 0.8) for w in (0, 0.4, 0.8)])
    (drawn,) = speed.draw_maps(rows, MODEL, "")
    rates, ratios = (
        np.asarray(next(c for c in axes.collections if isinstance(c, QuadMesh)).get_array()).reshape(3, 3)
        for axes in drawn.figure.axes[:2]
    )
    assert rates == pytest.approx(1 / rows["seconds_per_image"].to_numpy().reshape(3, 3).T)
    assert ratios[0, 0] == 1
    assert ratios[2, 2] == pytest.approx(rows["seconds_per_image"].iloc[0] / rows["seconds_per_image"].iloc[-1])


def test_times_of_two_devices_are_on_no_common_map(row: Row) -> None:
    one = [row("ag+sg", s, w) for s in (0, 0.4, 0.8) for w in (0, 0.4)]
    other = [row("ag+sg", s, 0.8, device="GPU") for s in (0, 0.4, 0.8)]
    (drawn,) = speed.draw_maps(pd.DataFrame(one + other), MODEL, "")
    assert drawn.figure.axes[0].collections[0].get_array().size == 6
    assert speed.draw_speed_up(pd.DataFrame(one + other), MODEL, "") == []


def test_dense_twins_are_of_the_same_rule_else_cfg(row: Row) -> None:
    rows = pd.DataFrame(
        [row("none"), row("none", 0.5), row("cfg"), row("cfg", steps=5), row("sg", 0, 0.7), row("sg", 0, 0.7, steps=7)]
    )
    twins = speed.dense_twins(rows, rows)
    gmacs = rows["gmacs_per_image"].tolist()
    assert twins["gmacs_per_image"].tolist()[:5] == [gmacs[0], gmacs[0], gmacs[2], gmacs[3], gmacs[2]]
    assert np.isnan(twins["gmacs_per_image"].iloc[5])


def test_speed_up_is_what_the_clock_says(row: Row) -> None:
    rows = pd.DataFrame([row("cfg"), row("sg", 0, 0.8)])
    (drawn,) = speed.draw_speed_up(rows, MODEL, "")
    marks = [c for c in drawn.figure.axes[0].collections if isinstance(c, PathCollection)]
    seconds = rows["seconds_per_image"]
    assert marks[1].get_offsets().tolist() == [
        [pytest.approx(2 / 1.4), pytest.approx(seconds.iloc[0] / seconds.iloc[1])]
    ]
    assert speed.draw_speed_up(rows.iloc[:1], MODEL, "") == []
