"""Quality over training: the best cell of each rule at each checkpoint (figure 5 of arXiv 2601.01608)."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import PurePath
from typing import NamedTuple

import matplotlib as mpl
import pandas as pd
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from sgbench.guidance import RULES
from sgbench.guidance.branches import Line
from sgbench.models import catalogue
from sgbench.report.figures.drawn import (
    Drawn,
    broken,
    half_widths,
    legend_below,
    metric_facts,
    metric_label,
    rule_handle,
    scale_cost,
    scale_quality,
)
from sgbench.report.figures.runs import best_along, families
from sgbench.report.select_rows import metric_title
from sgbench.report.style import LOOK, WIDTH, style_of

# Checkpoints that have a tick each.
MOST_TICKS = 8
# One for each training run of an architecture, such as a fine-tune.
LINES: tuple[Line, ...] = ("-", "--", ":", "-.")


class Series(NamedTuple):
    """The best cells of one rule along one run, by rising iterations."""

    rule: str
    run: str
    cells: pd.DataFrame


def draw(rows: pd.DataFrame, models: Mapping[str, str]) -> list[Drawn]:
    """A figure for each architecture with two checkpoints or more of one run."""
    found = []
    for runs in families(rows):
        series = [
            Series(rule, run, cells)
            for run, checkpoints in runs.items()
            for rule in RULES
            if len(cells := best_along(rows, checkpoints, rule, "iterations"))
        ]
        if all(len(one.cells) < 2 for one in series):
            continue
        first = next(iter(runs.values()))[0]
        metric = str(rows["quality_metric"].iloc[0])
        title = f"{metric_title(metric)} over training"
        caption = f"Each rule's best cell at each checkpoint. {metric_facts(series[0].cells, metric)}"
        found.append(Drawn(f"training{models[first]}", title, caption, _figure(series, first, title, metric), first))
    return found


@mpl.rc_context(LOOK)
def _figure(series: list[Series], model: str, title: str, metric: str) -> Figure:
    figure = Figure(figsize=(WIDTH, 4.2), layout="constrained")
    axes = figure.subplots()
    runs = list(dict.fromkeys(one.run for one in series))
    for rule, run, cells in series:
        style = style_of(rule)
        axes.errorbar(
            cells["iterations"], cells["quality"], yerr=half_widths(cells, "quality"), color=style.colour,
            marker=style.marker, linestyle=style.line if len(runs) == 1 else LINES[runs.index(run) % len(LINES)],
            elinewidth=0.9, capsize=2,
        )  # fmt: skip
    together = pd.concat([one.cells for one in series])
    scale_cost(axes, together["iterations"])
    scale_quality(axes, together["quality"], metric)
    ages = sorted(set(together["iterations"]))
    if len(ages) <= MOST_TICKS:
        axes.set_xticks(ages)
    axes.xaxis.set_major_formatter(mpl.ticker.EngFormatter(sep=""))
    axes.set(
        xlabel="training iterations",
        ylabel=metric_label(together, metric),
        title=broken(f"{catalogue.entry(model).family.title}: {title}", WIDTH - 0.7),
    )
    handles = [rule_handle(rule, line=len(runs) == 1) for rule in dict.fromkeys(one.rule for one in series)]
    if len(runs) > 1:
        handles += [
            Line2D([], [], color="0.3", linestyle=LINES[n % len(LINES)], label=PurePath(run).stem)
            for n, run in enumerate(runs)
        ]
    legend_below(figure, handles, columns=4 if len(runs) == 1 else 2)
    return figure
