"""All figures of a suite: names, bytes, and rows that hold only a part."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd
import pytest

from sgbench.report.figures import draw_figures, frontier
from sgbench.report.figures.plotting import render
from sgbench.report.select_rows import Axis, with_quality
from sgbench.stats.estimates import GROUPS

pytestmark = pytest.mark.slow

MODEL = "fashion-routing"
Row = Callable[..., dict[str, Any]]
ALL: list[Axis] = ["gmacs_per_image", "seconds_per_image", "joules_per_image"]


def names(rows: pd.DataFrame, metrics: list[str], models: dict[str, str] | None = None) -> list[str]:
    known = with_quality(rows, metrics[0]) if metrics else rows
    return [one.name for one in draw_figures(known, models or {MODEL: ""}, ALL, metrics)]


def test_every_figure_that_the_rows_hold(sweep: pd.DataFrame) -> None:
    second = sweep.assign(model="fashion-dense", cell=sweep["cell"] + "b", joules_per_image=2.0)
    second["fd_lite0"], second["fd_lite0_se"], second["fd_lite0_replicates"] = 9.0, 0.1, " ".join(["9"] * GROUPS)
    both = pd.concat([sweep, second], ignore_index=True)
    maps = ["heat-map-sg", "heat-map-ag-sg", "sparsity", "throughput-sg", "throughput-ag-sg", "speed-up"]
    further = ["frontier-joules", "frontier-gmacs-fd_lite0"]
    assert names(both, ["fd", "precision", "recall", "fd_lite0"], {MODEL: "", "fashion-dense": "-dense"}) == [
        *("frontier-gmacs", "frontier-seconds", "precision-recall", *maps),
        *(f"{one}-dense" for one in ("frontier-gmacs", "frontier-seconds", *further, "precision-recall", *maps)),
    ]


def test_a_suite_without_metrics_has_its_times(sweep: pd.DataFrame) -> None:
    bare = sweep[[c for c in sweep if not c.startswith(("fd", "precision", "recall"))]]
    assert names(bare, []) == ["throughput-sg", "throughput-ag-sg", "speed-up"]


def test_rows_with_schedules_one_rule_and_gaps(row: Row) -> None:
    rows = [row("ag+sg", "cosine 0 to 0.6", "cosine 0.6 to 0", scale=s) for s in (1.4, 1.6)]
    rows.append(row("ag+sg", "0.0", "0.0", fd=np.nan, fd_replicates=np.nan, precision=np.nan))
    assert names(pd.DataFrame(rows), ["fd"])[:2] == ["frontier-gmacs", "frontier-seconds"]
    assert names(pd.DataFrame(rows[:1]), ["fd"]) == ["frontier-gmacs", "frontier-seconds", "precision-recall"]


@pytest.mark.parametrize(("kind", "start"), [("png", b"\x89PNG"), ("svg", b"<?xml"), ("pdf", b"%PDF")])
def test_the_same_rows_give_the_same_bytes(row: Row, kind: Any, start: bytes) -> None:
    rows = with_quality(pd.DataFrame([row("cfg"), row("sg", 0, 0.7)]), "fd")
    first, second = (render(frontier.draw(rows, MODEL, "", "gmacs_per_image")[0].figure, kind) for _ in range(2))
    assert first == second
    assert first.startswith(start)
    for told in (b"Matplotlib v", b"CreationDate", b"dc:date", b"Producer", b"Software"):
        assert told not in first


def test_pdf_fonts_are_embedded_truetype(row: Row) -> None:
    rows = with_quality(pd.DataFrame([row("cfg")]), "fd")
    found = render(frontier.draw(rows, MODEL, "", "gmacs_per_image")[0].figure, "pdf")
    assert b"/FontFile2" in found
    assert b"/Type3" not in found
