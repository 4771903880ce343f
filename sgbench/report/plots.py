"""The figures, as PNG and SVG: quality against compute, precision against recall."""

from __future__ import annotations

import io
from typing import Any

import matplotlib as mpl
import pandas as pd
from matplotlib.figure import Figure

from sgbench.guidance import RULES
from sgbench.report.points import (
    AXES,
    Axis,
    best_row,
    on_frontier,
    quality_title,
    rule_rows,
    rules_of,
    settings_text,
    sign_of,
)
from sgbench.report.style import STYLES
from sgbench.stats.jackknife import GROUPS
from sgbench.stats.paired import t_quantile

FORMATS = ("png", "svg")
MOST_NAMED = 8
LOOK: Any = {
    "font.size": 10,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "grid.alpha": 0.25,
    "svg.hashsalt": "sgbench",
    "svg.fonttype": "path",
}


def plot_frontier(rows: pd.DataFrame, model: str, axis: Axis) -> Figure:
    """Quality against cost for one model: every cell with its 95 % interval, one frontier line per rule."""
    with mpl.rc_context(LOOK):
        figure = Figure(figsize=(8, 5), layout="constrained")
        axes = figure.subplots()
        rules = rules_of(rows, model)
        for rule in rules:
            # More names than this cover the points and each other.
            _draw_rule(axes, rule_rows(rows, model, rule), rule, axis, named=len(rules) <= MOST_NAMED)
        lower = sign_of(str(rows["quality_metric"].iloc[0])) > 0
        if lower:
            axes.set_yscale("log")
        _draw_floor(axes, float(rows["quality_floor"].iloc[0]))
        axes.yaxis.set_major_formatter(mpl.ticker.FormatStrFormatter("%g"))
        if lower:
            axes.yaxis.set_minor_formatter(mpl.ticker.FormatStrFormatter("%g"))
        axes.tick_params(axis="y", which="minor", labelsize=7)
        axes.set_xlabel(AXES[axis] + _axis_note(rows, axis))
        axes.set_ylabel(
            f"{quality_title(rows)}, N = {rows['samples'].iloc[0]:,} ({'lower' if lower else 'higher'} is better)"
        )
        axes.set_title(f"{model}: quality against compute", loc="left", fontweight="bold")
        axes.legend(frameon=False, fontsize=9, ncols=2)
    return figure


def plot_precision_recall(rows: pd.DataFrame, model: str) -> Figure:
    """Precision against recall for one model: every cell with its 95 % intervals."""
    with mpl.rc_context(LOOK):
        figure = Figure(figsize=(6.5, 5), layout="constrained")
        axes = figure.subplots()
        half = t_quantile(GROUPS)
        for rule in rules_of(rows, model):
            own, style = rule_rows(rows, model, rule), STYLES[rule]
            axes.errorbar(
                own["recall"],
                own["precision"],
                xerr=half * own["recall_se"],
                yerr=half * own["precision_se"],
                fmt=style.marker,
                color=style.colour,
                markersize=6,
                elinewidth=0.7,
                alpha=0.85,
                label=RULES[rule].title,
            )
        axes.set_xlabel(f"recall (higher is better), N = {rows['samples'].iloc[0]:,}")
        axes.set_ylabel("precision (higher is better)")
        axes.set_title(f"{model}: precision against recall", loc="left", fontweight="bold")
        axes.legend(frameon=False, fontsize=9)
    return figure


def render(figure: Figure, kind: str) -> bytes:
    """The figure as `png` or `svg` bytes, the same for the same rows."""
    buffer = io.BytesIO()
    with mpl.rc_context(LOOK):
        figure.savefig(buffer, format=kind, dpi=160, metadata={"Date": None} if kind == "svg" else None)
    return buffer.getvalue()


def _draw_floor(axes: Any, floor: float) -> None:
    """The floor as a line, or in words where a line would squeeze the cells into a corner."""
    if floor != floor:  # the reference has no held-out images
        return
    lowest, _ = axes.get_ylim()
    text = f"floor {floor:.3f}: real test images"
    if floor > lowest / 2:
        axes.axhline(floor, color="0.4", linestyle=":", linewidth=1.2)
        place: dict[str, Any] = {"xy": (1, floor), "xycoords": ("axes fraction", "data"), "xytext": (-4, 3)}
    else:
        text += " (below this axis)"
        place = {"xy": (1, 0), "xycoords": "axes fraction", "xytext": (-4, 4)}
    axes.annotate(text, **place, textcoords="offset points", ha="right", color="0.35", fontsize=8)


def _draw_rule(axes: Any, rows: pd.DataFrame, rule: str, axis: Axis, named: bool) -> None:
    """A rule's cells and its frontier; with the settings of its best cell beside it if they are to be `named`."""
    style = STYLES[rule]
    axes.errorbar(
        rows[axis],
        rows["quality"],
        yerr=t_quantile(GROUPS) * rows["quality_se"],
        fmt=style.marker,
        color=style.colour,
        markersize=6,
        elinewidth=0.9,
        capsize=2,
        label=RULES[rule].title,
        alpha=0.85,
    )
    line = on_frontier(rows, axis)
    axes.plot(line[axis], line["quality"], color=style.colour, linewidth=1.6, alpha=0.85)
    if not named:
        return
    best = best_row(rows)
    axes.annotate(
        settings_text(best),
        (best[axis], best["quality"]),
        xytext=(5, -11),
        textcoords="offset points",
        fontsize=7,
        color=style.colour,
    )


def _axis_note(rows: pd.DataFrame, axis: Axis) -> str:
    if axis == "gmacs_per_image":
        return " (one multiply-accumulate is one; GFLOPs are twice that)"
    first = rows.iloc[0]
    return f" ({first['device']}, {first['threads']} threads, batch {first['batch']})"
