"""The rows as tables for people: CSV and Parquet with plain numbers, text with errors beside the values."""

from __future__ import annotations

import io
from collections.abc import Iterable, Sequence

import pandas as pd

from sgbench.cells.settings import SETTINGS
from sgbench.guidance import RULES
from sgbench.metrics.catalogue import METRICS
from sgbench.report.answers.headline import Comparison
from sgbench.report.answers.pareto_status import standings_of
from sgbench.report.select_rows import (
    Axis,
    best_row,
    metric_title,
    rated,
    rule_rows,
    rules_of,
    settings_text,
    sign_of,
    with_quality,
)
from sgbench.stats.estimates import Difference, decimals, with_error

METRIC_ORDER = tuple(METRICS)
SAVED: dict[Axis, str] = {
    "gmacs_per_image": "GMACs saved",
    "seconds_per_image": "seconds saved",
    "joules_per_image": "joules saved",
}


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
    for metric in METRIC_ORDER:
        if metric in rows:
            columns[metric_title(metric)] = rows[metric]
            columns[f"{metric_title(metric)} SE"] = rows[f"{metric}_se"]
            for suffix in ("corrected", "floor"):
                if f"{metric}_{suffix}" in rows:
                    columns[f"{metric_title(metric)} {suffix}"] = rows[f"{metric}_{suffix}"]
    columns |= {"N": rows["samples"], "standing": _standing(rows), "cell": rows["cell"]}
    return pd.DataFrame(columns)


def readable_table(rows: pd.DataFrame) -> pd.DataFrame:
    """The same lines as text, errors after a plus-minus sign; the floor stands beside every distance."""
    columns = {
        **_what(rows),
        "GMACs/image": _fixed(rows["gmacs_per_image"], 3),
        "GFLOPs/image": _fixed(rows["gflops_per_image"], 3),
        "ms/image": _fixed(1000 * rows["seconds_per_image"], 1),
    }
    if _measured(rows, "joules_per_image"):
        columns["J/image"] = _fixed(rows["joules_per_image"], 3)
    for metric in METRIC_ORDER:
        if metric in rows:
            values = zip(rows[metric], rows[f"{metric}_se"], strict=True)
            columns[metric_title(metric)] = pd.Series([with_error(*pair) for pair in values], rows.index, dtype=object)
            if f"{metric}_corrected" in rows:
                columns[f"{metric_title(metric)} corrected"] = rows[f"{metric}_corrected"].map(short)
            if _measured(rows, f"{metric}_floor"):
                columns[f"{metric_title(metric)} of real images"] = rows[f"{metric}_floor"].map(short)
    columns["standing"] = _standing(rows)
    return pd.DataFrame(columns)


def best_rows(rows: pd.DataFrame) -> pd.DataFrame:
    """The best cell of each rule on each model, by quality; models in their order, rules in that of their list.

    The index tells which of the rows they are. Rules of which no cell has a quality are left out.
    """
    known = rows[rows["quality"].notna()]
    turned = sign_of(str(rows["quality_metric"].iloc[0])) * known["quality"]
    best = known.loc[turned.groupby([known["model"], known["guidance"]]).idxmin()]
    models, rules = list(dict.fromkeys(rows["model"])), list(RULES)
    place = [(models.index(m), rules.index(r)) for m, r in zip(best["model"], best["guidance"], strict=True)]
    return best.iloc[sorted(range(len(best)), key=place.__getitem__)]


def comparison_table(comparisons: Sequence[Comparison]) -> pd.DataFrame:
    """One line per model and rule: its best cell, and what it saves at the best quality of the baseline."""
    baselines = {RULES[c.baseline_rule].title for c in comparisons}
    # Models may have baselines of their own; each line then names its own.
    name = baselines.pop() if len(baselines) == 1 else "the baseline"
    lines = []
    for c in comparisons:
        line: dict[str, object] = {
            "model": c.model,
            "rule": RULES[c.rule].title,
            "best settings": settings_text(c.best),
            **({"baseline": RULES[c.baseline_rule].title} if baselines else {}),
            metric_title(c.quality): with_error(c.best["quality"], c.best["quality_se"]),
            f"against {name}'s best": _interval(c.differences[c.quality]),
        }
        if "recall" in c.differences and c.quality != "recall":
            line[f"recall against {name}'s"] = _interval(c.differences["recall"])
        for axis, found in c.savings.items():
            if not found.reached:
                line[SAVED[axis]] = f"not reached ({found.probability_reached:.0%} of draws reach it)"
            else:
                # Where the cheapest cell is better already, what is saved may be more.
                bound = "≥ " if found.at_least else ""
                line[SAVED[axis]] = f"{bound}{found.share:.0%} [{_bound(found.lower)}, {_bound(found.upper)}]"
        lines.append(line)
    return pd.DataFrame(lines).fillna("")


def group_table(rows: pd.DataFrame, metrics: Sequence[str]) -> pd.DataFrame:
    """Each rule's best cell by every metric of prompts, group by group; empty where no metric has groups."""
    lines = []
    for metric in metrics:
        columns = [str(column) for column in rows if str(column).startswith(f"{metric}[")]
        groups = [column.removeprefix(f"{metric}[")[:-1] for column in columns if column.endswith("]")]
        scored = rated(with_quality(rows, metric)) if groups else rows.iloc[:0]
        for model in dict.fromkeys(scored["model"]):
            for rule in rules_of(scored, model):
                best = best_row(rule_rows(scored, model, rule))
                parts = {
                    group: with_error(best[f"{metric}[{group}]"], best[f"{metric}[{group}]_se"]) for group in groups
                }
                line = {"model": model, "rule": RULES[rule].title, "settings": settings_text(best)}
                lines.append({**line, "metric": metric_title(metric), **parts})
    return pd.DataFrame(lines).fillna("")


def parquet_bytes(table: pd.DataFrame) -> bytes | None:
    """A table as Parquet, the same columns as in its csv; None where pyarrow is not installed."""
    buffer = io.BytesIO()
    try:
        table.to_parquet(buffer, engine="pyarrow", index=False)
    except ImportError:
        return None
    return buffer.getvalue()


def short(value: float) -> str:
    """A value beside one with an error, to three decimals or as many digits as a small one has."""
    if value != value:
        return ""
    return f"{value:.3f}" if abs(value) >= 0.01 else f"{value:.2g}"


def settings_texts(rows: pd.DataFrame) -> pd.Series:
    """The settings of every row in a few words."""
    # Dictionaries: lines of a table of many columns are slow to take out of it.
    told = rows[[column for column in rows if column in SETTINGS]].to_dict("records")
    return pd.Series([settings_text(row) for row in told], rows.index, dtype=object)


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


def _interval(gap: Difference) -> str:
    digits = decimals(gap.standard_error)
    return f"{gap.value:+.{digits}f} [{gap.lower:+.{digits}f}, {gap.upper:+.{digits}f}]"


def _bound(share: float) -> str:
    return "not reached" if share == float("-inf") else f"{share:.0%}"
