"""Speed-up against the MAC ratio, and images per second over both gammas (figure A1 of arXiv 2601.01608)."""

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from sgbench.guidance import RULES
from sgbench.report.figures import plotting
from sgbench.report.figures.grids import ALIKE, RULES_OF_TWO_GAMMAS, Grid, draw_mesh, grids, name_gammas, numeric_gammas
from sgbench.report.figures.plotting import WIDTH, ReportFigure
from sgbench.report.missing import CLOCK
from sgbench.report.select_rows import by_rule
from sgbench.stats.frontier import Vector

TITLE = "speed-up against MAC ratio"
# Settings that a cell and its dense twin share.
CALLED_ALIKE = ("interval", "parameters", "sampler", "steps", "dtype", "compile", *CLOCK)
# Up to so many gammas a side, numbers fit into the cells of a map.
MOST_WRITTEN = 7


def draw_speed_up(rows: pd.DataFrame, model: str, suffix: str) -> list[ReportFigure]:
    """Every cell of one model whose dense twin was run, on one device; nothing if all of them are dense."""
    own = rows[(rows["model"] == model) & rows["seconds_per_image"].notna()].reset_index(drop=True)
    if len(own[list(CLOCK)].drop_duplicates()) != 1:
        return []
    twin = dense_twins(own, own)
    own = own.assign(
        mac_ratio=twin["gmacs_per_image"] / own["gmacs_per_image"],
        speed_up=twin["seconds_per_image"] / own["seconds_per_image"],
    ).dropna(subset=["mac_ratio", "speed_up"])
    if own.empty or own["mac_ratio"].max() < 1.01:
        return []
    figure, axes = plotting.plane(WIDTH - 0.6, 4.5, f"{plotting.model_text(model)}: {TITLE}")
    rules = by_rule(own, model)
    for rule, cells in rules.items():
        plotting.scatter_cells(axes, cells, "mac_ratio", "speed_up", rule, len(own))
        if len(own) <= plotting.MOST_BARS and {"seconds_q25", "seconds_q75"} <= set(cells.columns):
            quicker = cells["speed_up"] * (cells["seconds_per_image"] / cells["seconds_q25"] - 1)
            slower = cells["speed_up"] * (1 - cells["seconds_per_image"] / cells["seconds_q75"])
            axes.errorbar(
                cells["mac_ratio"], cells["speed_up"], yerr=[slower.clip(lower=0), quicker.clip(lower=0)], fmt="none",
                ecolor=RULES[rule].style.colour, elinewidth=0.7, alpha=0.5,
            )  # fmt: skip
    promise = Line2D([], [], color="0.4", linestyle="--", linewidth=1, label="speed-up = MAC ratio")
    axes.axline((1, 1), slope=1, color="0.4", linestyle="--", linewidth=1)
    axes.set(xlabel="MAC ratio (MACs, dense over own)", ylabel="speed-up (seconds, dense over own)")
    plotting.legend_below(figure, [*(plotting.rule_handle(rule, line=False) for rule in rules), promise])
    caption = (
        "Both are relative to the dense cell with the same number of branches and steps and the same sampler: the rule "
        "with both gammas 0, or CFG. On the diagonal, the speed-up equals the MAC ratio. "
        f"{plotting.clock_facts(own)} Bars are quartiles over batches."
    )
    return [ReportFigure(f"speed-up{suffix}", TITLE, caption, figure, model)]


def draw_maps(rows: pd.DataFrame, model: str, suffix: str) -> list[ReportFigure]:
    """Images per second on the largest grid of each rule, at the scale with most cells: time does not depend on it."""
    found = []
    for rule in RULES_OF_TWO_GAMMAS:
        for grid in grids(rows, model, rule, (*ALIKE, *CLOCK))[:1]:
            panel = max(grid.panels, key=lambda panel: len(panel.rows))
            dense = dense_twins(rows, panel.rows)["seconds_per_image"].dropna().unique()
            title = f"images per second of {RULES[rule].title} over both gammas, {grid.settings}"
            clock = plotting.clock_facts(panel.rows)
            caption = f"At w = {panel.scale:g}. {clock} Medians over batches; sampling without decoding."
            if len(panel.rows) < len(grid.strong) * len(grid.weak):
                caption += " Blank cells were not run."
            shown = {"images per second": 1 / panel.values(grid.strong, grid.weak, "seconds_per_image")}
            if len(dense):
                caption += f" Speed-up is relative to dense branches ({1 / dense[0]:.3g} images per second)."
                shown["speed-up"] = shown["images per second"] * float(dense[0])
            name = f"throughput-{rule.replace('+', '-')}{suffix}"
            found.append(ReportFigure(name, title, caption, _map(grid, model, title, shown), model))
    return found


def dense_twins(rows: pd.DataFrame, cells: pd.DataFrame) -> pd.DataFrame:
    """GMACs and seconds of each cell's dense twin among `rows`, row by row of `cells`; NaN where it was not run.

    The twin calls as many branches as often, all of them dense: the same rule with both gammas 0, else CFG for a rule
    of two branches.
    """
    shared = ["model", *(column for column in CALLED_ALIKE if column in rows)]
    costs = ["gmacs_per_image", "seconds_per_image"]
    numeric = numeric_gammas(rows)
    dense = numeric[(numeric["gamma_strong"] == 0) & (numeric["gamma_weak"] == 0)]
    own = dense.groupby(["guidance", *shared], dropna=False, as_index=False)[costs].median()
    cfg = own[own["guidance"] == "cfg"].drop(columns="guidance")
    of_rule = cells[["guidance", *shared]].merge(own, "left", ["guidance", *shared])[costs]
    of_cfg = cells[shared].merge(cfg, "left", shared)[costs]
    of_cfg[[len(RULES[rule].branches) != 2 for rule in cells["guidance"]]] = np.nan
    return of_rule.fillna(of_cfg).set_index(cells.index)


def _map(grid: Grid, model: str, title: str, shown: dict[str, Vector]) -> Figure:
    figure = Figure(figsize=(WIDTH + 1 if len(shown) == 2 else WIDTH - 1, 3.2), layout="constrained")
    panes = figure.subplots(1, len(shown), sharey=True, squeeze=False).flat
    for axes, (label, values) in zip(panes, shown.items(), strict=True):
        mesh = draw_mesh(axes, grid, values, cmap="cividis")
        if max(values.shape) <= MOST_WRITTEN:
            _write(axes, grid, values)
        figure.colorbar(mesh, ax=axes, label=label, pad=0.02)
    name_gammas(figure, model, title)
    return figure


def _write(axes: Axes, grid: Grid, values: Vector) -> None:
    """Each value in its cell, black on light ones."""
    middle = (np.nanmin(values) + np.nanmax(values)) / 2
    for (row, column), value in np.ndenumerate(values):
        if value == value:
            place = (float(grid.strong[column]), float(grid.weak[row]))
            colour = "black" if value > middle else "white"
            axes.text(*place, f"{value:.3g}", ha="center", va="center", fontsize=7, color=colour)
