"""Which values a table shows in bold: the best of each metric, and all that are not significantly worse."""

from __future__ import annotations

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from sgbench.metrics.catalogue import METRICS
from sgbench.report.select_rows import metric_title, sign_of
from sgbench.stats.estimates import t_quantiles


def best_and_tied(rows: pd.DataFrame, metric: str) -> list[bool]:
    """For each row, whether it has the best value of `metric` on its model, or one tied with it.

    Tied is what has a paired difference to the best whose interval holds zero. Intervals are so wide that all of a
    model's hold together with 95 % (`stats.estimates.t_quantiles`): the best of many looks better than it is.
    A value without replicates ties with an equal one alone. Never a row without the score, and no row at all for a
    metric that is neither better when lower nor when higher.
    """
    marked = np.zeros(len(rows), dtype=bool)
    if METRICS[metric].better:
        values = sign_of(metric) * rows[metric].to_numpy(dtype=float)
        texts = rows.get(f"{metric}_replicates", pd.Series("", rows.index)).fillna("").to_numpy()
        models = rows["model"].to_numpy()
        for model in dict.fromkeys(models):
            own = np.flatnonzero((models == model) & ~np.isnan(values))
            if len(own):
                marked[own[_not_worse(values[own], texts[own])]] = True
    return [bool(mark) for mark in marked]


def bold_cells(table: pd.DataFrame, rows: pd.DataFrame) -> pd.DataFrame:
    """For each cell of a table with one line per row, in their order, whether it is in bold."""
    bold = pd.DataFrame(False, index=table.index, columns=table.columns)
    for metric in METRICS:
        if metric in rows and metric_title(metric) in table:
            bold[metric_title(metric)] = best_and_tied(rows, metric)
    return bold


def _not_worse(values: NDArray[np.float64], texts: NDArray[np.object_]) -> NDArray[np.bool_]:
    """For values (P,) that are better when lower and their replicates as text, whether each equals or ties the best."""
    best = int(values.argmin())
    parts = [str(text).split() for text in texts]
    groups = len(parts[best])
    # Sets of other sizes delete other groups, so nothing pairs them.
    paired = np.array([len(part) == groups > 1 for part in parts])
    tied = values == values[best]
    if paired.any():
        gaps = np.array([part for part, fits in zip(parts, paired, strict=True) if fits], dtype=float)
        gaps = gaps - np.array(parts[best], dtype=float)
        error = np.sqrt((groups - 1) / groups * ((gaps - gaps.mean(axis=1, keepdims=True)) ** 2).sum(axis=1))
        width = t_quantiles(groups, np.array(len(values) - 1))
        tied[paired] |= values[paired] - values[best] <= width * error
    return np.asarray(tied)
