"""Speed-up against the ratio of MACs: what sparsity promises and what the clock says."""

from __future__ import annotations

import matplotlib as mpl
import numpy as np
import pandas as pd
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from sgbench.guidance import RULES
from sgbench.report.figures.drawn import (
    MOST_BARS,
    Drawn,
    clock_facts,
    figure_title,
    legend_below,
    one_clock,
    rule_handle,
    scatter_cells,
)
from sgbench.report.figures.grids import numeric_gammas
from sgbench.report.select_rows import CLOCK, rule_rows, rules_of
from sgbench.report.style import LOOK, WIDTH, style_of

TITLE = "speed-up against MAC ratio"
# What a cell and its dense twin share: where guidance is on, and how often the network is called.
CALLED_ALIKE = ("interval", "parameters", "sampler", "steps", "dtype", "compile", *CLOCK)


def draw(rows: pd.DataFrame, model: str, suffix: str) -> list[Drawn]:
    """Every cell of one model whose dense twin was run, on one device; nothing where all of them are dense."""
    own = rows[(rows["model"] == model) & rows["seconds_per_image"].notna()].reset_index(drop=True)
    if not one_clock(own):
        return []
    twin = dense_twins(own, own)
    own = own.assign(
        mac_ratio=twin["gmacs_per_image"] / own["gmacs_per_image"],
        speed_up=twin["seconds_per_image"] / own["seconds_per_image"],
    ).dropna(subset=["mac_ratio", "speed_up"])
    if own.empty or own["mac_ratio"].max() < 1.01:
        return []
    caption = (
        "Both are against the dense cell of as many branches, steps and sampler: that with both gammas 0, or CFG. On "
        f"the diagonal the clock keeps what MACs promise. {clock_facts(own)} Bars are quartiles over batches."
    )
    return [Drawn(f"speed-up{suffix}", TITLE, caption, _figure(own, model), model)]


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


@mpl.rc_context(LOOK)
def _figure(rows: pd.DataFrame, model: str) -> Figure:
    figure = Figure(figsize=(WIDTH - 0.6, 4.5), layout="constrained")
    axes = figure.subplots()
    rules = rules_of(rows, model)
    for rule in rules:
        own = rule_rows(rows, model, rule)
        scatter_cells(axes, own, "mac_ratio", "speed_up", rule, len(rows))
        if len(rows) <= MOST_BARS and {"seconds_q25", "seconds_q75"} <= set(own.columns):
            quicker = own["speed_up"] * (own["seconds_per_image"] / own["seconds_q25"] - 1)
            slower = own["speed_up"] * (1 - own["seconds_per_image"] / own["seconds_q75"])
            axes.errorbar(
                own["mac_ratio"], own["speed_up"], yerr=[slower.clip(lower=0), quicker.clip(lower=0)], fmt="none",
                ecolor=style_of(rule).colour, elinewidth=0.7, alpha=0.5,
            )  # fmt: skip
    promise = Line2D([], [], color="0.4", linestyle="--", linewidth=1, label="as promised")
    axes.axline((1, 1), slope=1, color="0.4", linestyle="--", linewidth=1)
    axes.set(
        xlabel="MAC ratio (MACs, dense over own)",
        ylabel="speed-up (seconds, dense over own)",
        title=figure_title(model, TITLE, WIDTH - 0.6),
    )
    legend_below(figure, [*(rule_handle(rule, line=False) for rule in rules), promise])
    return figure
