"""The cells as compact JSON for the page's scripts: column by column, without replicates."""

import json
import math
from functools import cache
from typing import Any

import pandas as pd
from matplotlib.markers import MarkerStyle
from matplotlib.path import Path

from sgbench.cells import settings as cell_settings
from sgbench.guidance import RULES
from sgbench.metrics.catalogue import METRICS
from sgbench.report.figures.plotting import half_quantile, logarithmic_cost, logarithmic_quality
from sgbench.report.page.content import Content
from sgbench.report.page.text import all_visible
from sgbench.report.select_rows import AXES
from sgbench.report.tables.columns import settings_texts

MODEL = ("model", "family", "weights", "iterations", "auxiliary_iterations", "trained_sparse", "dropped_tokens")
SETTINGS = (*dict.fromkeys([*MODEL, *cell_settings.SETTINGS]), "guided_channels", "samples")
COSTS: dict[str, str] = {
    **{str(axis): title for axis, title in AXES.items()},
    "gflops_per_image": "GFLOPs per image",
    "gmacs_per_step": "GMACs per step",
    "paper_gmacs_per_image": "GMACs per image (paper's convention)",
    "paper_gmacs_per_step": "GMACs per step (paper's convention)",
    "seconds_q25": "seconds per image, lower quartile",
    "seconds_q75": "seconds per image, upper quartile",
    "images_per_second": "images per second",
    "decode_gmacs_per_image": "GMACs per image, decoder",
    "decode_seconds_per_image": "seconds per image, decoder",
    "peak_mib": "peak memory, MiB",
    "batch": "batch",
}
ORIGIN = (
    *("device", "threads", "other_devices", "checkpoint_sha256", "auxiliary_sha256", "autoencoder_sha256"),
    *("text_encoder_sha256", "sgbench", "torch", "commit", "dirty"),
)
# Other columns are called by their names.
TITLES = {**COSTS, "auxiliary_sha256": "auxiliary checkpoint sha256", "dirty": "files changed since the commit"}
SCORE_ENDS = ("", "_se", "_corrected", "_floor", "_floor_sd", "_protocol")


def payload(content: Content, sources: dict[str, str]) -> str:
    """What the page's scripts read, as JSON that is safe in a script element; `sources` are addresses of pictures."""
    rows = content.rows
    data = {
        "axes": [{"key": axis, "title": AXES[axis], "log": logarithmic_cost(rows[axis])} for axis in content.axes],
        "metrics": [_metric(rows, metric) for metric in content.metrics],
        "rules": [_rule(rule) for rule in RULES if rule in set(rows["guidance"])],
        "settings": _present(SETTINGS, rows),
        "costs": _present(COSTS, rows),
        "origin": _present(ORIGIN, rows),
        "titles": {name: TITLES.get(name, name.replace("_", " ")) for name in (*SETTINGS, *COSTS, *ORIGIN)},
        "prompts": content.prompts,
        "cells": len(rows),
        "columns": {name: _encoded(column) for name, column in _columns(content, sources).items()},
    }
    # Nothing in it may end its element.
    return json.dumps(all_visible(data), separators=(",", ":"), allow_nan=False).replace("<", "\\u003c")


def _metric(rows: pd.DataFrame, metric: str) -> dict[str, Any]:
    groups = [str(c) for c in rows if str(c).startswith(f"{metric}[") and str(c).endswith("]")]
    return {
        "key": metric,
        "title": METRICS[metric].title,
        "better": METRICS[metric].better,
        "groups": groups,
        "log": logarithmic_quality(rows[metric], metric),
        "half": half_quantile(rows, metric),
    }


def _rule(rule: str) -> dict[str, str]:
    style = RULES[rule].style
    drawn = {"colour": style.colour, "line": style.line, "path": marker_path(style.marker)}
    return {"name": rule, "title": RULES[rule].title, **drawn}


def _present(names: Any, rows: pd.DataFrame) -> list[str]:
    return [name for name in names if name in rows and rows[name].notna().any()]


def _columns(content: Content, sources: dict[str, str]) -> dict[str, pd.Series]:
    rows = content.rows
    names = [*_present(SETTINGS, rows), *_present(COSTS, rows), *_present(ORIGIN, rows)]
    for metric in content.metrics:
        names += [f"{metric}{end}" for end in SCORE_ENDS if f"{metric}{end}" in rows]
        names += [f"{group}{end}" for group in _metric(rows, metric)["groups"] for end in ("", "_se")]
    pictures = [content.cells.get(str(cell)) for cell in rows["cell"]]
    derived = {
        "cell": rows["cell"],
        "text": settings_texts(rows),
        "rule": rows["guidance"],
        "standing": rows["cell"].map(content.standings),
    }
    shown = [(p and sources[p.file], p and p.alt, p and p.width, p and p.height) for p in pictures]
    for name, values in zip(("", "_alt", "_width", "_height"), zip(*shown, strict=True), strict=True):
        derived[f"picture{name}"] = pd.Series(values, rows.index, dtype=object)
    if "parameters" in names:
        derived["parameters"] = rows["parameters"].map(cell_settings.parameters_text)
    return {**{name: rows[name] for name in names}, **derived}


def _encoded(column: pd.Series) -> Any:
    """A column as `{"always": value}`, a list, or distinct values and each line's number among them."""
    # Numbers in full: rounded for reading, they equal those of other tables.
    values: list[Any] = [None if pd.isna(value) else "inf" if value == math.inf else value for value in column.tolist()]
    distinct = list(dict.fromkeys(values))
    if len(distinct) == 1:
        return {"always": distinct[0]}
    if len(distinct) > len(values) / 2:
        return values
    places = {value: number for number, value in enumerate(distinct)}
    return {"values": distinct, "codes": [places[value] for value in values]}


LETTERS = {Path.MOVETO: "M", Path.LINETO: "L", Path.CURVE3: "Q", Path.CURVE4: "C", Path.CLOSEPOLY: "Z"}


@cache
def marker_path(marker: str) -> str:
    """The outline of a filled marker in a square from -1 to 1, y downwards, as Vega and SVG want it."""
    style = MarkerStyle(marker)
    outline = style.get_path().transformed(style.get_transform())
    parts = []
    for vertices, code in outline.iter_segments(simplify=False):
        letter = LETTERS[code]
        # Markers are one unit wide, and their y points upwards.
        turned = [f"{2 * v * (-1 if n % 2 else 1) + 0:.3g}" for n, v in enumerate(vertices)]
        parts.append(letter if letter == "Z" else letter + ",".join(turned))
    return "".join(parts)
