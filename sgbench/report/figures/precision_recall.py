"""Precision against recall: what a rule gains in looks and loses in variety."""

from __future__ import annotations

import matplotlib as mpl
import pandas as pd
from matplotlib.figure import Figure

from sgbench.guidance import RULES
from sgbench.report.figures import plotting
from sgbench.report.figures.plotting import ReportFigure
from sgbench.report.figures.style import LOOK, WIDTH
from sgbench.report.select_rows import by_rule

TITLE = "precision against recall"


def draw(rows: pd.DataFrame, model: str, suffix: str) -> list[ReportFigure]:
    """Every cell of one model that has both, with its 95 % intervals."""
    if not {"precision", "recall"} <= set(rows.columns):
        return []
    own = rows[(rows["model"] == model) & rows["precision"].notna() & rows["recall"].notna()]
    if own.empty:
        return []
    bars = len(own) <= plotting.MOST_BARS
    facts = [plotting.metric_facts(own, metric, bars) for metric in ("precision", "recall")]
    caption = " ".join(["Up and right is better.", *facts])
    return [ReportFigure(f"precision-recall{suffix}", TITLE, caption, _figure(own, model), model)]


@mpl.rc_context(LOOK)
def _figure(rows: pd.DataFrame, model: str) -> Figure:
    figure, axes = plotting.plane(WIDTH, 4.5)
    rules = by_rule(rows, model)
    for rule, own in rules.items():
        plotting.scatter_cells(axes, own, "recall", "precision", rule, len(rows))
        if len(rows) <= plotting.MOST_BARS:
            across, up = (plotting.half_widths(own, metric) for metric in ("recall", "precision"))
            axes.errorbar(
                own["recall"], own["precision"], xerr=across, yerr=up, fmt="none",
                ecolor=RULES[rule].style.colour, elinewidth=0.6, alpha=0.35,
            )  # fmt: skip
    axes.set(
        xlabel=plotting.metric_label(rows, "recall"),
        ylabel=plotting.metric_label(rows, "precision"),
        title=plotting.figure_title(model, TITLE),
    )
    plotting.legend_below(figure, [plotting.rule_handle(rule, line=False) for rule in rules])
    return figure
