"""Images per second over both gammas, and how often the dense cell's: figure A1 of arXiv 2601.01608."""

from __future__ import annotations

import matplotlib as mpl
import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from sgbench.guidance import RULES
from sgbench.report.figures.drawn import MOST_VECTORS, Drawn, clock_facts, figure_title
from sgbench.report.figures.grids import ALIKE, RULES_OF_TWO_GAMMAS, Grid, edges, grids, tick_gammas
from sgbench.report.figures.speed_up import dense_twins
from sgbench.report.select_rows import CLOCK
from sgbench.report.style import LOOK, WIDTH
from sgbench.stats.frontier import Vector

# Below so many gammas a side, numbers fit into the cells.
MOST_WRITTEN = 7


def draw(rows: pd.DataFrame, model: str, suffix: str) -> list[Drawn]:
    """A figure for the largest grid of each rule, of the scale with most cells: time does not depend on the scale."""
    found = []
    for rule in RULES_OF_TWO_GAMMAS:
        for grid in grids(rows, model, rule, (*ALIKE, *CLOCK))[:1]:
            panel = max(grid.panels, key=lambda panel: len(panel.rows))
            one = grid._replace(panels=[panel])
            dense = dense_twins(rows, panel.rows)["seconds_per_image"].dropna().unique()
            title = f"images per second of {RULES[rule].title} over both gammas, {grid.settings}"
            caption = (
                f"At w = {panel.scale:g}. {clock_facts(panel.rows)} Medians over batches of sampling, no decoding."
            )
            if len(panel.rows) < len(grid.strong) * len(grid.weak):
                caption += " Blank places were not run."
            if len(dense):
                caption += f" Speed-up is against dense branches ({1 / dense[0]:.3g} images per second)."
            seconds = float(dense[0]) if len(dense) else float("nan")
            name = f"throughput-{rule.replace('+', '-')}{suffix}"
            found.append(Drawn(name, title, caption, _figure(one, model, title, seconds), model))
    return found


@mpl.rc_context(LOOK)
def _figure(grid: Grid, model: str, title: str, dense_seconds: float) -> Figure:
    rate = 1 / grid.panels[0].values(grid.strong, grid.weak, "seconds_per_image")
    shown = {"images per second": rate}
    if dense_seconds == dense_seconds:
        shown["speed-up"] = rate * dense_seconds
    figure = Figure(figsize=(WIDTH + 1 if len(shown) == 2 else WIDTH - 1, 3.2), layout="constrained")
    panes = figure.subplots(1, len(shown), sharey=True, squeeze=False).flat
    for axes, (label, values) in zip(panes, shown.items(), strict=True):
        mesh = axes.pcolormesh(
            edges(grid.strong), edges(grid.weak), values, cmap="cividis", rasterized=values.size > MOST_VECTORS
        )
        tick_gammas(axes, grid)
        if max(values.shape) <= MOST_WRITTEN:
            _write(axes, grid, values)
        axes.set_facecolor("white")
        figure.colorbar(mesh, ax=axes, label=label, pad=0.02)
    figure.supxlabel("gamma of the strong branch", fontsize=10)
    figure.supylabel("gamma of the weak branch", fontsize=10)
    figure.suptitle(
        figure_title(model, title, figure.get_figwidth() + 0.5), x=0.01, ha="left", fontsize=10, fontweight="bold"
    )
    return figure


def _write(axes: mpl.axes.Axes, grid: Grid, values: Vector) -> None:
    middle = (np.nanmin(values) + np.nanmax(values)) / 2
    for (row, column), value in np.ndenumerate(values):
        if value == value:
            colour = "black" if value > middle else "white"
            axes.text(
                float(grid.strong[column]),
                float(grid.weak[row]),
                f"{value:.3g}",
                ha="center",
                va="center",
                fontsize=7,
                color=colour,
            )
