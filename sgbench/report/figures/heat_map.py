"""Quality over (gamma_strong, gamma_weak), a panel per scale: figures 6 and 8 of arXiv 2601.01608."""

from typing import Any

import numpy as np
import pandas as pd
from matplotlib import ticker
from matplotlib.axes import Axes
from matplotlib.colors import LogNorm, Normalize
from matplotlib.figure import Figure

from sgbench.guidance import RULES
from sgbench.metrics.catalogue import METRICS
from sgbench.report.figures.grids import RULES_OF_TWO_GAMMAS, Grid, Panel, draw_mesh, grids, name_gammas
from sgbench.report.figures.plotting import WIDTH, ReportFigure, logarithmic, protocol_id
from sgbench.report.select_rows import best_row, quality_metric, rated
from sgbench.report.tables.columns import best_and_tied
from sgbench.stats.frontier import Vector

# The best end is bright whatever the metric's direction.
BRIGHT_IS_HIGH = "viridis"
BRIGHT_IS_LOW = "viridis_r"
CONTOURS = 6
TICKS = 6
# Contours need a grid of at least so many gammas a side, and as many cells as its square.
SIDE = 4
# Grids of other steps, samplers or further settings that are drawn, the largest first.
MOST = 3
COLUMNS = 3


def draw(rows: pd.DataFrame, model: str, suffix: str) -> list[ReportFigure]:
    """A figure for each grid of each rule of two gammas."""
    found = []
    for rule in RULES_OF_TWO_GAMMAS:
        every = grids(rated(rows), model, rule)
        for number, grid in enumerate(every[:MOST], start=1):
            name = f"heat-map-{rule.replace('+', '-')}{'' if number == 1 else f'-{number}'}{suffix}"
            metric = quality_metric(rows)
            title = f"{METRICS[metric].title} of {RULES[rule].title} over both gammas, {grid.settings}"
            caption = _caption(grid, metric, len(every))
            found.append(ReportFigure(name, title, caption, _figure(grid, model, title, metric), model))
    return found


def _caption(grid: Grid, metric: str, grids_there: int) -> str:
    cells, places = len(grid.rows), len(grid.panels) * len(grid.strong) * len(grid.weak)
    blank = (
        f" {places - cells} of {places} combinations are blank: not run, or without a score." if cells < places else ""
    )
    if grids_there > MOST:
        blank += f" Shown are the {MOST} largest of {grids_there} grids of other settings."
    name = protocol_id(grid.rows, metric)
    protocol = f", protocol {name}" if name else ""
    return (
        f"{METRICS[metric].title} of {grid.rows['samples'].iloc[0]:,} images per cell{protocol}; brighter is better. "
        "A star marks each panel's best cell, dots mark cells that do not differ from it significantly (paired "
        f"difference, 95 %).{blank}"
    )


def _figure(grid: Grid, model: str, title: str, metric: str) -> Figure:
    values = grid.rows["quality"].to_numpy(dtype=np.float64)
    low, high = float(values.min()), float(values.max())
    lower = METRICS[metric].better == "lower"
    norm = LogNorm(low, high) if lower and logarithmic(values, 3) else Normalize(low, high)
    columns = min(len(grid.panels), COLUMNS)
    lines = -(-len(grid.panels) // columns)
    figure = Figure(figsize=(max(WIDTH - 1, 0.9 + 2.1 * columns), 0.9 + 2.1 * lines), layout="constrained")
    panes = list(figure.subplots(lines, columns, sharex=True, sharey=True, squeeze=False).flat)
    for axes, panel in zip(panes, grid.panels, strict=False):
        cells = panel.values(grid.strong, grid.weak, "quality")
        mesh = draw_mesh(axes, grid, cells, norm=norm, cmap=BRIGHT_IS_LOW if lower else BRIGHT_IS_HIGH)
        _draw_contours(axes, grid, panel, cells, norm)
        _mark(axes, panel, metric)
        axes.set_title(f"w = {panel.scale:g}", fontweight="normal", loc="center")
    for place, axes in enumerate(panes):
        # The last panel of its column has the gammas below it.
        axes.tick_params(labelbottom=place + columns >= len(grid.panels))
    for axes in panes[len(grid.panels) :]:
        axes.remove()
    name_gammas(figure, model, title)
    bar = figure.colorbar(mesh, ax=figure.axes, pad=0.02)
    bar.set_label(f"{METRICS[metric].title} ({METRICS[metric].better} is better)")
    bar.set_ticks(np.asarray(norm.inverse(np.linspace(0, 1, TICKS))).tolist())
    bar.ax.yaxis.set_major_formatter(ticker.FormatStrFormatter("%.3g"))
    bar.ax.minorticks_off()
    return figure


def _draw_contours(axes: Axes, grid: Grid, panel: Panel, cells: Vector, norm: Normalize) -> None:
    """Lines of equal quality, at the same levels in all panels; none where too few cells would carry them."""
    sides = panel.rows["gamma_strong"].nunique(), panel.rows["gamma_weak"].nunique()
    if min(sides) < SIDE or len(panel.rows) < SIDE * SIDE:
        return
    levels = np.asarray(norm.inverse(np.linspace(0, 1, CONTOURS + 2)[1:-1]))
    inside = levels[(levels > np.nanmin(cells)) & (levels < np.nanmax(cells))]
    if len(inside):
        lines = axes.contour(
            grid.strong, grid.weak, np.ma.masked_invalid(cells), inside, colors="white", linewidths=0.8
        )
        axes.clabel(lines, fmt="%.3g", fontsize=7)


def _mark(axes: Axes, panel: Panel, metric: str) -> None:
    """A star on the best cell, dots on those that it does not beat significantly."""
    best = best_row(panel.rows)
    others = panel.rows[np.array(best_and_tied(panel.rows, metric)) & (panel.rows["cell"] != best["cell"])]
    look: dict[str, Any] = {"color": "black", "edgecolor": "white", "linewidth": 0.6, "zorder": 4}
    axes.scatter(others["gamma_strong"], others["gamma_weak"], marker="o", s=16, **look)
    axes.scatter(best["gamma_strong"], best["gamma_weak"], marker="*", s=130, **look)
