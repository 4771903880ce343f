"""Quality against compute: one frontier per rule, hollow marks for ties, labels at the points that matter."""

import itertools
import textwrap
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.collections import LineCollection, PathCollection
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.transforms import Bbox

from sgbench.guidance import RULES
from sgbench.metrics.catalogue import METRICS
from sgbench.report.answers.answer import baseline_of
from sgbench.report.figures import plotting
from sgbench.report.figures.plotting import WIDTH, ReportFigure
from sgbench.report.select_rows import (
    AXES,
    Axis,
    best_row,
    by_rule,
    lower_is_better,
    quality_metric,
    rated,
    settings_text,
    sign_of,
    standings_of,
)
from sgbench.stats.frontier import Vector, knee

# Points (1/72 inch) from a mark to the edge of its label, and directions, that are tried in turn.
DISTANCES = (9, 18, 30, 45, 65, 90, 120)
DIRECTIONS = np.linspace(0, 2 * np.pi, 16, endpoint=False)
LABEL_MARGIN = 3.0
# Characters of a line, beyond which settings go on in the next.
LABEL_WIDTH = 40
# Pixels between the points that represent a line.
SPACING = 5.0
COUNTED = "One multiply-accumulate counts as one MAC; FLOPs are twice that."
READING = (
    "Lines connect each rule's frontier. Filled marks are on it; hollow marks are dominated, but not significantly "
    "(paired difference, 95 %); faint marks are dominated significantly."
)


class Label(NamedTuple):
    """A label of a data point, with its colour."""

    x: float
    y: float
    text: str
    colour: str


def draw(rows: pd.DataFrame, model: str, suffix: str, axis: Axis, metric: str = "") -> list[ReportFigure]:
    """Quality of one model against `axis`; `metric` goes into the file's name where it is not the suite's first."""
    own = rated(rows[(rows["model"] == model) & rows[axis].notna()])
    if own.empty:
        return []
    quality = quality_metric(own)
    name = "-".join(["frontier", axis.removesuffix("_per_image"), *([metric] if metric else [])])
    counted = COUNTED if axis == "gmacs_per_image" else plotting.clock_facts(own)
    caption = f"{READING} {plotting.metric_facts(own, quality)} {counted}"
    title = f"{METRICS[quality].title} against {AXES[axis]}"
    return [ReportFigure(f"{name}{suffix}", title, caption, _figure(own, model, axis, title), model)]


def _figure(rows: pd.DataFrame, model: str, axis: Axis, title: str) -> Figure:
    figure, axes = plotting.plane(WIDTH, 4.5, f"{plotting.model_text(model)}: {title}")
    rows = rows.assign(standing=rows["cell"].map(standings_of(rows, axis)))
    rules = by_rule(rows, model)
    baseline = baseline_of(rules)
    for rule, own in rules.items():
        _draw_rule(axes, own, rule, axis, len(rows))
    plotting.cost_axis(axes, rows[axis], AXES[axis])
    plotting.quality_axis(axes, rows)
    _draw_floor(axes, float(rows["quality_floor"].iloc[0]))
    handles: list[Any] = [plotting.rule_handle(rule) for rule in rules]
    there = set(rows["standing"])
    handles += [_state("within noise", fill="white", edge="0.3")] if "tie" in there else []
    handles += [_state("dominated", fill="0.8", edge="none")] if "dominated" in there else []
    equal: list[pd.Series] = []
    if baseline is not None and len(rules) > 1:
        best = best_row(rules[baseline])
        equal = _as_good(rows[rows["guidance"] != baseline], float(best["quality"]), axis)
        line: dict[str, Any] = {"color": RULES[baseline].style.colour, "linewidth": 0.9, "linestyle": (0, (4, 3))}
        axes.axhline(best["quality"], zorder=1, **line)
        handles.append(Line2D([], [], label=f"{RULES[baseline].title}'s best", **line))
    if equal:
        axes.plot(
            [row[axis] for row in equal], [row["quality"] for row in equal], "o", zorder=5, markersize=11,
            markerfacecolor="none", markeredgecolor="0.25", markeredgewidth=0.9,
        )  # fmt: skip
        handles.append(_state("cheapest as good", fill="none", edge="0.25", size=9))
    plotting.legend_below(figure, handles)
    _place_labels(axes, _labels(rows, axis, equal, baseline))
    return figure


def _draw_rule(axes: Axes, rows: pd.DataFrame, rule: str, axis: Axis, cells: int) -> None:
    """A rule's cells by their standing, and its frontier; bars of the frontier alone where there are many `cells`."""
    style = RULES[rule].style
    standing, crowded = rows["standing"].to_numpy(), cells > plotting.MOST_VECTORS
    cost, value = rows[axis].to_numpy(dtype=np.float64), rows["quality"].to_numpy(dtype=np.float64)
    half = plotting.half_widths(rows, "quality")
    size = (14.0 if crowded else 30.0) * plotting.AREAS.get(style.marker, 1.0)
    looks: dict[str, Any] = {
        "dominated": {"facecolor": style.colour, "edgecolor": "none", "alpha": 0.25, "zorder": 2, "s": 0.8 * size},
        "tie": {"facecolor": "white", "edgecolor": style.colour, "linewidth": 1.0, "zorder": 3, "s": size},
        "frontier": {"facecolor": style.colour, "edgecolor": "white", "linewidth": 0.3, "zorder": 4, "s": 1.3 * size},
    }
    for state, look in looks.items():
        here = standing == state
        if not here.any():
            continue
        axes.scatter(cost[here], value[here], marker=style.marker, rasterized=crowded and state != "frontier", **look)
        if state == "frontier" or cells <= plotting.MOST_BARS:
            axes.errorbar(
                cost[here], value[here], yerr=half[here], fmt="none", ecolor=style.colour, elinewidth=0.8,
                alpha=0.25 if state == "dominated" else 0.8, zorder=look["zorder"] - 0.5,
            )  # fmt: skip
    order = np.flatnonzero(standing == "frontier")
    order = order[np.argsort(cost[order])]
    axes.plot(cost[order], value[order], color=style.colour, linestyle=style.line, zorder=3.4)


def _as_good(rows: pd.DataFrame, target: float, axis: Axis) -> list[pd.Series]:
    """Each rule's cheapest cell that is as good as `target`, by the estimates, cheapest first."""
    reached = rows[lower_is_better(rows) <= target * sign_of(quality_metric(rows))].sort_values(axis, kind="stable")
    return [row for _, row in reached.drop_duplicates("guidance").iterrows()]


def _labels(rows: pd.DataFrame, axis: Axis, equal: list[pd.Series], baseline: str | None) -> list[Label]:
    """The best cell, the cheapest of those as good as the baseline's best, and the knee; a cell is named once."""
    named: dict[str, tuple[pd.Series, list[str]]] = {}

    def name(row: pd.Series, role: str) -> None:
        named.setdefault(str(row["cell"]), (row, []))[1].append(role)

    name(best_row(rows), "best")
    if equal and baseline is not None and str(equal[0]["cell"]) not in named:
        name(equal[0], f"as good as {RULES[baseline].title}'s best")
    bend = knee(rows[axis].tolist(), lower_is_better(rows).tolist())
    if bend is not None:
        name(rows.iloc[bend], "knee")
    return [
        Label(
            float(row[axis]),
            float(row["quality"]),
            f"{' and '.join(roles)}: {RULES[row['guidance']].title}\n{textwrap.fill(settings_text(row), LABEL_WIDTH)}",
            RULES[row["guidance"]].style.colour,
        )
        for row, roles in named.values()
    ]


def _draw_floor(axes: Axes, floor: float) -> None:
    """The score of real images as a line, or in words where a line would squeeze the cells into a corner."""
    if floor != floor:  # The reference has no held-out images.
        return
    low, high = axes.get_ylim()
    text = f"real test images: {floor:.3g}"
    if low / 2 < floor < high:
        axes.axhline(floor, color="0.4", linestyle=":", linewidth=1.2)
        place: dict[str, Any] = {"xy": (1, floor), "xycoords": ("axes fraction", "data"), "xytext": (-4, 3)}
    else:
        text += " (below this axis)"
        place = {"xy": (1, 0), "xycoords": "axes fraction", "xytext": (-4, 4)}
    axes.annotate(text, **place, textcoords="offset points", ha="right", color="0.35", fontsize=8)


def _state(label: str, fill: str, edge: str, size: float = 5.5) -> Line2D:
    """The legend's entry of a standing."""
    return Line2D(
        [], [], linestyle="none", marker="o", label=label, markersize=size, markerfacecolor=fill, markeredgecolor=edge
    )


def _place_labels(axes: Axes, labels: Sequence[Label]) -> None:
    """Write each label where it hides least of what the axes hold, as near as that allows, with a thin leader."""
    figure = axes.get_figure()
    assert isinstance(figure, Figure)
    renderer = FigureCanvasAgg(figure).get_renderer()  # type: ignore[no-untyped-call]
    figure.draw_without_rendering()
    ink, frame = _ink(axes), axes.get_window_extent(renderer)
    # What is written already, such as the name of a line.
    taken = [text.get_window_extent(renderer) for text in axes.texts]
    pixels = figure.dpi / 72
    for label in labels:
        box = {"boxstyle": "square,pad=0.1", "facecolor": "white", "edgecolor": "none", "alpha": 0.7}
        leader = {"arrowstyle": "-", "color": label.colour, "linewidth": 0.7, "shrinkA": 0, "shrinkB": 4}
        note = axes.annotate(
            label.text, (label.x, label.y), xytext=(0, 0), textcoords="offset points", ha="center", va="center",
            fontsize=8, color=label.colour, bbox=box, zorder=6, arrowprops=leader,
        )  # fmt: skip
        size = note.get_window_extent(renderer)
        shape = np.array([size.width / 2, size.height / 2])
        start = axes.transData.transform((label.x, label.y))
        found = []
        for distance, angle in itertools.product(DISTANCES, DIRECTIONS):
            direction = np.array([np.cos(angle), np.sin(angle)])
            offset = distance * pixels * direction + direction * shape
            place = Bbox([start + offset - shape - LABEL_MARGIN, start + offset + shape + LABEL_MARGIN])
            found.append((_badness(place, ink, taken, frame) + distance, offset, place))
        _, offset, place = min(found, key=lambda one: one[0])
        note.set_position((float(offset[0] / pixels), float(offset[1] / pixels)))
        taken.append(place)


def _badness(box: Bbox, ink: Vector, taken: Sequence[Bbox], frame: Bbox) -> float:
    """How bad a place is: outside of the frame or over another label worst, then what it hides."""
    hidden = np.all((ink >= box.min) & (ink <= box.max), axis=1).sum()
    outside = not (frame.contains(*box.min) and frame.contains(*box.max))
    return 1e6 * outside + 1000.0 * sum(box.overlaps(other) for other in taken) + 25.0 * float(hidden)


def _ink(axes: Axes) -> Vector:
    """Places (n, 2) in pixels that are drawn on: marks, and lines at short steps."""
    places = [np.zeros((0, 2))]
    for line in axes.lines:
        path = line.get_transform().transform(np.column_stack(line.get_data(orig=False)))
        places.append(path if line.get_linestyle() == "None" else _steps(path))
    for collection in axes.collections:
        if isinstance(collection, PathCollection):
            places.append(collection.get_offset_transform().transform(collection.get_offsets()))
        elif isinstance(collection, LineCollection):
            places += [_steps(collection.get_transform().transform(path)) for path in collection.get_segments()]
    return np.asarray(np.concatenate(places))


def _steps(path: Vector) -> Vector:
    """A path (n, 2) with places between its corners."""
    parts = [path]
    for first, second in itertools.pairwise(path):
        count = int(min(400, np.hypot(*(second - first)) / SPACING)) if np.isfinite([first, second]).all() else 0
        parts.append(first + (second - first) * np.linspace(0, 1, count + 2)[1:-1, None])
    return np.concatenate(parts)
