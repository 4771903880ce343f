"""The rows as tables: CSV and Parquet with plain numbers, text with errors next to the values; best values in bold."""

from collections.abc import Iterable

import numpy as np
import pandas as pd

from sgbench.cells.settings import SETTINGS
from sgbench.guidance import RULES
from sgbench.metrics.catalogue import METRICS
from sgbench.report.select_rows import by_rule, lower_is_better, replicates, settings_text, sign_of, standings_of
from sgbench.stats.estimates import t_quantiles, with_error


def result_table(rows: pd.DataFrame) -> pd.DataFrame:
    """One line per cell, numbers as numbers, errors in columns of their own."""
    columns = {
        **_what(rows),
        "GMACs/image": rows["gmacs_per_image"],
        "GFLOPs/image": rows["gflops_per_image"],
        "GMACs/step (paper)": rows["paper_gmacs_per_step"],
        "s/image": rows["seconds_per_image"],
    }
    if _measured(rows, "joules_per_image"):
        columns["J/image"] = rows["joules_per_image"]
    for metric in (metric for metric in METRICS if metric in rows):
        title = METRICS[metric].title
        columns |= {title: rows[metric], f"{title} SE": rows[f"{metric}_se"]}
        for suffix in ("corrected", "floor"):
            if f"{metric}_{suffix}" in rows:
                columns[f"{title} {suffix}"] = rows[f"{metric}_{suffix}"]
    return pd.DataFrame(columns | {"N": rows["samples"], "standing": _standing(rows), "cell": rows["cell"]})


def readable_table(rows: pd.DataFrame) -> pd.DataFrame:
    """The same lines as text, errors after a plus-minus sign; the real-image baseline next to every distance."""
    columns = {
        **_what(rows),
        "GMACs/image": _fixed(rows["gmacs_per_image"], 3),
        "GFLOPs/image": _fixed(rows["gflops_per_image"], 3),
        "ms/image": _fixed(1000 * rows["seconds_per_image"], 1),
    }
    if _measured(rows, "joules_per_image"):
        columns["J/image"] = _fixed(rows["joules_per_image"], 3)
    for metric in (metric for metric in METRICS if metric in rows):
        title = METRICS[metric].title
        columns[title] = [with_error(*pair) for pair in zip(rows[metric], rows[f"{metric}_se"], strict=True)]
        if f"{metric}_corrected" in rows:
            columns[f"{title} corrected"] = rows[f"{metric}_corrected"].map(short)
        if _measured(rows, f"{metric}_floor"):
            columns[f"{title} of real images"] = rows[f"{metric}_floor"].map(short)
    return pd.DataFrame(columns | {"standing": _standing(rows)})


def best_rows(rows: pd.DataFrame) -> pd.DataFrame:
    """The best cell of each rule on each model, by quality; models in their order, rules in that of their list.

    The index tells which of the rows they are. Rules of which no cell has a quality are left out.
    """
    known = rows[rows["quality"].notna()]
    groups = (own for model in dict.fromkeys(rows["model"]) for own in by_rule(known, model).values())
    return rows.loc[[lower_is_better(own).idxmin() for own in groups]]


def best_and_tied(rows: pd.DataFrame, metric: str) -> list[bool]:
    """For each row, whether it has the best value of `metric` on its model, or one tied with it.

    A value is tied if the interval of its paired difference to the best contains zero. Intervals hold for all cells of
    a model together with 95 % (`stats.estimates.t_quantiles`): the best of many looks better than it is. Without
    replicates only equal values tie. Rows without a score, and metrics without a direction, are never marked.
    """
    values = (sign_of(metric) * rows[metric].astype(float)).tolist()
    spread = [replicates(text) for text in rows.get(f"{metric}_replicates", pd.Series("", rows.index)).fillna("")]
    models = rows["model"].tolist()
    marked = [False] * len(rows)
    for model in dict.fromkeys(models) if METRICS[metric].better else ():
        own = [n for n, value in enumerate(values) if models[n] == model and value == value]
        best = min(own, key=values.__getitem__, default=0)
        groups = len(spread[best]) if own else 0
        widths = dict.fromkeys(own, 0.0)
        if groups > 1:
            # Sets of other sizes delete other groups, so nothing pairs them.
            paired = [n for n in own if len(spread[n]) == groups]
            gaps = np.array([spread[n] for n in paired]) - np.array(spread[best])
            errors = np.sqrt((groups - 1) / groups * ((gaps - gaps.mean(axis=1, keepdims=True)) ** 2).sum(axis=1))
            widths |= zip(paired, (t_quantiles(groups, np.array(len(own) - 1)) * errors).tolist(), strict=True)
        for n in own:
            marked[n] = values[n] - values[best] <= widths[n]
    return marked


def bold_cells(table: pd.DataFrame, rows: pd.DataFrame) -> pd.DataFrame:
    """For each cell of a table with one line per row, in their order, whether it is in bold."""
    bold = pd.DataFrame(False, index=table.index, columns=table.columns)
    for metric, facts in METRICS.items():
        if metric in rows and facts.title in table:
            bold[facts.title] = best_and_tied(rows, metric)
    return bold


def parquet_bytes(table: pd.DataFrame) -> bytes | None:
    """A table as Parquet, the same columns as in its csv; None where pyarrow is not installed."""
    try:
        return table.to_parquet(engine="pyarrow", index=False)
    except ImportError:
        return None


def short(value: float) -> str:
    """A value without an error, to three decimals, or two digits if it is small."""
    if value != value:
        return ""
    return f"{value:.3f}" if abs(value) >= 0.01 else f"{value:.2g}"


def settings_texts(rows: pd.DataFrame) -> pd.Series:
    """The settings of every row in a few words."""
    # Dictionaries: lines of a table of many columns are slow to take out of it.
    used = rows[[column for column in rows if column in SETTINGS]].to_dict("records")
    return pd.Series([settings_text(row) for row in used], rows.index, dtype=object)


def _what(rows: pd.DataFrame) -> dict[str, pd.Series]:
    """The columns that say which cell a line is of."""
    titles = rows["guidance"].map({name: rule.title for name, rule in RULES.items()})
    return {"model": rows["model"], "rule": titles, "settings": settings_texts(rows)}


def _standing(rows: pd.DataFrame) -> pd.Series:
    found = standings_of(rows)
    return pd.Series([found.get(str(cell), "") for cell in rows["cell"]], rows.index, dtype=object)


def _measured(rows: pd.DataFrame, column: str) -> bool:
    return column in rows and bool(rows[column].notna().any())


def _fixed(values: Iterable[float], digits: int) -> list[str]:
    return ["" if value != value else f"{value:.{digits}f}" for value in values]
