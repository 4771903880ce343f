"""Labels at the points that matter, placed where they cover neither each other nor the plot."""

import itertools
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.collections import LineCollection, PathCollection
from matplotlib.figure import Figure
from matplotlib.transforms import Bbox

from sgbench.stats.frontier import Vector

# Points (1/72 inch) from a mark to the edge of its name, and directions, that are tried in turn.
DISTANCES = (9, 18, 30, 45, 65, 90, 120)
DIRECTIONS = np.linspace(0, 2 * np.pi, 16, endpoint=False)
MARGIN = 3.0
# Pixels between the points that represent a line.
SPACING = 5.0


class Label(NamedTuple):
    """A label of a data point, with its colour."""

    x: float
    y: float
    text: str
    colour: str


def place_labels(axes: Axes, labels: Sequence[Label]) -> None:
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
            place = Bbox([start + offset - shape - MARGIN, start + offset + shape + MARGIN])
            found.append((_cost(place, ink, taken, frame) + distance, offset, place))
        _, offset, place = min(found, key=lambda one: one[0])
        note.set_position((float(offset[0] / pixels), float(offset[1] / pixels)))
        taken.append(place)


def _cost(box: Bbox, ink: Vector, taken: Sequence[Bbox], frame: Bbox) -> float:
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
