"""Quality of unguided samples against gamma: sparsity alone only degrades (figure 4 of arXiv 2601.01608)."""

from __future__ import annotations

import matplotlib as mpl
import pandas as pd
from matplotlib.figure import Figure

from sgbench.guidance import RULES
from sgbench.report.figures.drawn import Drawn, figure_title, half_widths, metric_facts, metric_label, scale_quality
from sgbench.report.figures.grids import ALIKE, grouped, numeric_gammas
from sgbench.report.select_rows import metric_title, rated, rule_rows, settings_text
from sgbench.report.style import LOOK, WIDTH, style_of

UNGUIDED = "none"
FEWEST = 3


def draw(rows: pd.DataFrame, model: str, suffix: str) -> list[Drawn]:
    """The longest series of three unguided cells or more that differ in gamma alone."""
    own = numeric_gammas(rule_rows(rated(rows), model, UNGUIDED))
    series = [cells.drop_duplicates("gamma_strong") for _, cells in grouped(own, ALIKE)]
    longest = max(series, key=len, default=own)
    if len(longest) < FEWEST:
        return []
    metric = str(rows["quality_metric"].iloc[0])
    title = f"{metric_title(metric)} without guidance against gamma"
    sampler = settings_text(longest.iloc[0]).rsplit(", ", 1)[-1]
    caption = f"{RULES[UNGUIDED].title}, {sampler}. {metric_facts(longest, metric)}"
    return [Drawn(f"sparsity{suffix}", title, caption, _figure(longest, model, title, metric), model)]


@mpl.rc_context(LOOK)
def _figure(rows: pd.DataFrame, model: str, title: str, metric: str) -> Figure:
    figure = Figure(figsize=(WIDTH - 0.6, 3.6), layout="constrained")
    axes = figure.subplots()
    rows, style = rows.sort_values("gamma_strong"), style_of(UNGUIDED)
    axes.errorbar(
        rows["gamma_strong"], rows["quality"], yerr=half_widths(rows, "quality"), color=style.colour,
        marker=style.marker, linestyle=style.line, elinewidth=0.9, capsize=2,
    )  # fmt: skip
    scale_quality(axes, rows["quality"], metric)
    axes.set(
        xlabel="gamma: share of tokens that skip work",
        ylabel=metric_label(rows, metric),
        title=figure_title(model, title, WIDTH - 0.6),
    )
    return figure
