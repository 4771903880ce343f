"""What all figures share: their look, record, captions, axes and legends, and how they become files."""

import io
import math
import textwrap
from collections.abc import Iterable
from pathlib import PurePath
from typing import Any, Literal, NamedTuple

import matplotlib as mpl
import numpy as np
import pandas as pd
from matplotlib import ticker
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from sgbench.guidance import RULES
from sgbench.metrics.catalogue import METRICS
from sgbench.models import custom, spec
from sgbench.report.select_rows import quality_metric, replicates
from sgbench.stats.estimates import t_quantile
from sgbench.stats.frontier import Vector

Kind = Literal["png", "svg", "pdf"]
FORMATS: tuple[Kind, ...] = ("png", "svg", "pdf")
# Dots per inch: of a PNG, and of what is an image inside of the others.
RESOLUTION: dict[Kind, int] = {"png": 160, "svg": 160, "pdf": 300}
# Dates and versions would make other bytes of the same rows.
UNSAID: dict[str, dict[str, Any]] = {
    "png": {"Software": None},
    "svg": {"Date": None, "Creator": None},
    "pdf": {"CreationDate": None, "Creator": None, "Producer": None},
}
# Inches. A figure this wide, set in a column of a paper, keeps its text at about 6 points.
WIDTH = 5.4
# A legend of more lines makes a figure higher, by so many inches a line.
USUAL_LINES, LINE_HEIGHT = 4, 0.2
# The settings of matplotlib for drawing and saving.
LOOK: dict[Any, Any] = {
    "font.family": "DejaVu Sans",
    "font.size": 9.5,
    "axes.titlesize": 10,
    "axes.titleweight": "bold",
    "axes.titlelocation": "left",
    "axes.labelsize": 10,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "axes.axisbelow": True,
    "grid.alpha": 0.25,
    "lines.linewidth": 1.5,
    "lines.markersize": 5.5,
    "legend.fontsize": 8.5,
    "legend.frameon": False,
    "savefig.facecolor": "white",
    # Ids of an SVG's parts come from what they draw, not from chance.
    "svg.hashsalt": "sgbench",
    "svg.fonttype": "path",
    # TrueType: the fonts are inside the file and its text can be searched.
    "pdf.fonttype": 42,
}
# With more cells, error bars of cells off the frontier hide the cells.
MOST_BARS = 60
# With more cells, those off the frontier are rasterised inside a vector file.
MOST_VECTORS = 300
# Average width of a letter of a title, in inches.
LETTER = 0.084
# Markers with thin strokes need more area to look as large as others.
AREAS = {"P": 1.6, "X": 1.6, "*": 1.8, "d": 1.3}


class ReportFigure(NamedTuple):
    """A figure of one model: stem of its files, title, caption and drawing."""

    name: str
    title: str
    caption: str
    figure: Figure
    model: str


def plane(width: float, height: float, title: str) -> tuple[Figure, Axes]:
    """An empty figure, in inches, with one pair of axes below a title in lines that fit."""
    figure = Figure(figsize=(width, height), layout="constrained")
    axes = figure.subplots()
    axes.set_title(broken(title, width - 0.7))
    return figure, axes


def model_text(model: str) -> str:
    """A model's name in titles; of a model given by its files: family, size and file names without folders."""
    if not spec.is_spec(model):
        return model
    if custom.is_custom(model):
        own = custom.parse(model)
        return f"{own.own} {_file_names(own.weights, own.auxiliary)}"
    given = spec.parse(model, "model")
    return " ".join([given.family, given.size, _file_names(given.weights, given.auxiliary)])


def _file_names(weights: str, auxiliary: str | None) -> str:
    return ", weak ".join(PurePath(file).stem for file in (weights, auxiliary) if file)


def broken(title: str, width: float) -> str:
    """A title, broken into lines of `width` inches."""
    return textwrap.fill(title, round(width / LETTER))


def metric_facts(rows: pd.DataFrame, metric: str, bars: bool = True) -> str:
    """A metric's values for a caption: protocol, number of images, and what the bars are if there are any."""
    name = protocol_id(rows, metric)
    protocol = f" (protocol {name})" if name else ""
    said = "; bars are 95 % intervals" if bars else ""
    return f"{METRICS[metric].title}{protocol} of {rows['samples'].iloc[0]:,} images per cell{said}."


def protocol_id(rows: pd.DataFrame, metric: str) -> str:
    """The protocol of a metric; empty where the rows name none."""
    return next(iter(rows.get(f"{metric}_protocol", pd.Series(dtype=str)).dropna()), "")


def clock_facts(rows: pd.DataFrame) -> str:
    """Where seconds and joules were measured; the rows are of one device."""
    first = rows.iloc[0]
    return f"Measured on {first['device']}, {first['threads']} threads, batch {first['batch']}."


def half_quantile(rows: pd.DataFrame, metric: str) -> float | None:
    """Half width of a 95 % interval in standard errors, by Student's t; None without jackknife replicates."""
    known = rows.get(f"{metric}_replicates", pd.Series(dtype=str)).dropna()
    groups = len(replicates(known.iloc[0])) if len(known) else 0
    return t_quantile(groups) if groups > 1 else None


def half_widths(rows: pd.DataFrame, metric: str) -> Vector:
    """Half of each row's 95 % interval; NaN without an error."""
    quantile = half_quantile(rows, metric)
    errors = rows[f"{metric}_se"].to_numpy(dtype=np.float64)
    return np.full(len(rows), np.nan) if quantile is None else quantile * errors


def logarithmic(values: Iterable[float], beyond: float) -> bool:
    """Whether the largest value is more than `beyond` times the smallest, so that a linear axis would crush it."""
    found = np.asarray(list(values), dtype=np.float64)
    found = found[np.isfinite(found)]
    return len(found) > 0 and bool(found.min() > 0 and found.max() > beyond * found.min())


def logarithmic_quality(values: Iterable[float], metric: str) -> bool:
    """From a factor of 3, for metrics that are better when lower: ratios mean more than differences there."""
    return METRICS[metric].better == "lower" and logarithmic(values, 3)


def logarithmic_cost(values: Iterable[float]) -> bool:
    """From a factor of 5: costs of steps and tokens multiply."""
    return logarithmic(values, 5)


def metric_label(rows: pd.DataFrame, metric: str) -> str:
    """A metric as an axis names it, with its direction and the number of images."""
    better = METRICS[metric].better
    direction = f" ({better} is better)" if better else ""
    return f"{METRICS[metric].title}{direction}, N = {rows['samples'].iloc[0]:,}"


def quality_axis(axes: Axes, rows: pd.DataFrame) -> None:
    """Label the axis of quality; logarithmic if `logarithmic_quality`."""
    metric = quality_metric(rows)
    axes.set_ylabel(metric_label(rows, metric))
    if logarithmic_quality(rows["quality"], metric):
        set_log(axes, "y")


def cost_axis(axes: Axes, costs: pd.Series, label: str) -> None:
    """Label the axis of costs; logarithmic if `logarithmic_cost`."""
    axes.set_xlabel(label)
    if logarithmic_cost(costs):
        set_log(axes, "x")


def set_log(axes: Axes, which: str) -> None:
    """A logarithmic axis with plain numbers at 1, 2 and 5, and at more digits where it is short."""
    axes.set(**{f"{which}scale": "log"})
    axis: Any = axes.xaxis if which == "x" else axes.yaxis
    low, high = axis.get_data_interval()
    wide = high > 10 * low
    axis.set_major_locator(ticker.LogLocator(subs=(1, 2, 5) if wide else (1, 1.5, 2, 3, 4, 5, 7)))
    axis.set_major_formatter(ticker.FormatStrFormatter("%g"))
    axis.set_minor_locator(ticker.NullLocator())


def rule_handle(rule: str, line: bool = True) -> Line2D:
    """A rule's entry in a legend."""
    style = RULES[rule].style
    return Line2D(
        [], [], color=style.colour, marker=style.marker, linestyle=style.line if line else "none",
        markersize=5.5 * AREAS.get(style.marker, 1.0) ** 0.5, label=RULES[rule].title,
    )  # fmt: skip


def scatter_cells(axes: Axes, rows: pd.DataFrame, x: str, y: str, rule: str, cells: int) -> None:
    """A rule's cells as marks, smaller if the axes have many `cells`."""
    style = RULES[rule].style
    axes.scatter(
        rows[x], rows[y], s=(32 if cells <= MOST_BARS else 14) * AREAS.get(style.marker, 1.0), marker=style.marker,
        color=style.colour, edgecolor="white", linewidth=0.3, alpha=0.9, zorder=3, rasterized=cells > MOST_VECTORS,
    )  # fmt: skip


def legend_below(figure: Figure, handles: list[Any], columns: int = 4) -> None:
    """A legend below the axes, where it covers no cell; a figure with a long one is the higher for it."""
    beyond = math.ceil(len(handles) / columns) - USUAL_LINES
    if beyond > 0:
        figure.set_figheight(figure.get_figheight() + beyond * LINE_HEIGHT)
    figure.legend(handles=handles, loc="outside lower center", ncols=min(columns, len(handles)), handletextpad=0.5)


def render(figure: Figure, kind: Kind) -> bytes:
    """The figure's bytes, the same for the same rows; fonts are outlines in SVG and embedded TrueType in PDF."""
    buffer = io.BytesIO()
    with mpl.rc_context(LOOK):
        if figure.get_layout_engine() is not None:
            # The layout is computed once for all files.
            figure.draw_without_rendering()
            figure.set_layout_engine("none")
        figure.savefig(buffer, format=kind, dpi=RESOLUTION[kind], metadata=UNSAID[kind])
    return buffer.getvalue()
