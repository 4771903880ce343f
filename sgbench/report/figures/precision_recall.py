"""Precision against recall: what a rule gains in looks and loses in variety."""

from __future__ import annotations

import matplotlib as mpl
import pandas as pd
from matplotlib.figure import Figure

from sgbench.guidance import RULES
from sgbench.report.figures.drawn import (
    MOST_BARS,
    Drawn,
    figure_title,
    half_widths,
    legend_below,
    metric_facts,
    metric_label,
    plane,
    rule_handle,
    scatter_cells,
)
from sgbench.report.figures.style import LOOK, WIDTH
from sgbench.report.select_rows import rule_rows, rules_of

TITLE = "precision against recall"


def draw(rows: pd.DataFrame, model: str, suffix: str) -> list[Drawn]:
    """Every cell of one model that has both, with its 95 % intervals."""
    if not {"precision", "recall"} <= set(rows.columns):
        return []
    own = rows[(rows["model"] == model) & rows["precision"].notna() & rows["recall"].notna()]
    if own.empty:
        return []
    facts = [metric_facts(own, metric, bars=len(own) <= MOST_BARS) for metric in ("precision", "recall")]
    caption = " ".join(["Up and right is better.", *facts])
    return [Drawn(f"precision-recall{suffix}", TITLE, caption, _figure(own, model), model)]


@mpl.rc_context(LOOK)
def _figure(rows: pd.DataFrame, model: str) -> Figure:
    figure, axes = plane(WIDTH, 4.5)
    rules = rules_of(rows, model)
    for rule in rules:
        own = rule_rows(rows, model, rule)
        scatter_cells(axes, own, "recall", "precision", rule, len(rows))
        if len(rows) <= MOST_BARS:
            axes.errorbar(
                own["recall"], own["precision"], xerr=half_widths(own, "recall"), yerr=half_widths(own, "precision"),
                fmt="none", ecolor=RULES[rule].style.colour, elinewidth=0.6, alpha=0.35,
            )  # fmt: skip
    axes.set(
        xlabel=metric_label(rows, "recall"),
        ylabel=metric_label(rows, "precision"),
        title=figure_title(model, TITLE),
    )
    legend_below(figure, [rule_handle(rule, line=False) for rule in rules])
    return figure
