"""The rows as tables for people: CSV with plain numbers, Markdown with errors beside the values."""

from __future__ import annotations

from collections.abc import Sequence

import pandas as pd

from sgbench.guidance import RULES
from sgbench.report.headline import Comparison
from sgbench.report.points import (
    best_row,
    metric_title,
    on_frontier,
    rule_rows,
    rules_of,
    settings_text,
    with_quality,
)
from sgbench.score.metrics import METRICS
from sgbench.stats.digits import decimals, with_error
from sgbench.stats.paired import Difference

METRIC_ORDER = tuple(METRICS)


def result_table(rows: pd.DataFrame) -> pd.DataFrame:
    """One line per cell, numbers as numbers, errors in columns of their own."""
    best = _frontier_cells(rows)
    table = pd.DataFrame(
        {
            "model": rows["model"],
            "rule": [RULES[rule].title for rule in rows["guidance"]],
            "settings": [settings_text(row) for _, row in rows.iterrows()],
            "GMACs/image": rows["gmacs_per_image"],
            "GFLOPs/image": rows["gflops_per_image"],
            "GMACs/step (paper)": rows["paper_gmacs_per_step"],
            "s/image": rows["seconds_per_image"],
        }
    )
    for metric in METRIC_ORDER:
        if metric in rows:
            table[metric_title(metric)] = rows[metric]
            table[f"{metric_title(metric)} SE"] = rows[f"{metric}_se"]
            for suffix in ("corrected", "floor"):
                if f"{metric}_{suffix}" in rows:
                    table[f"{metric_title(metric)} {suffix}"] = rows[f"{metric}_{suffix}"]
    table["N"] = rows["samples"]
    table["on frontier"] = [cell in best for cell in rows["cell"]]
    table["cell"] = rows["cell"]
    return table


def readable_table(rows: pd.DataFrame) -> pd.DataFrame:
    """The same lines as text, errors after a plus-minus sign; the floor stands beside every distance."""
    best = _frontier_cells(rows)
    table = pd.DataFrame(
        {
            "model": rows["model"],
            "rule": [RULES[rule].title for rule in rows["guidance"]],
            "settings": [settings_text(row) for _, row in rows.iterrows()],
            "GMACs/image": [f"{v:.3f}" for v in rows["gmacs_per_image"]],
            "GFLOPs/image": [f"{v:.3f}" for v in rows["gflops_per_image"]],
            "ms/image": [f"{1000 * v:.1f}" for v in rows["seconds_per_image"]],
        }
    )
    for metric in METRIC_ORDER:
        if metric in rows:
            values = zip(rows[metric], rows[f"{metric}_se"], strict=True)
            table[metric_title(metric)] = [with_error(value, error) for value, error in values]
            if f"{metric}_corrected" in rows:
                table[f"{metric_title(metric)} corrected"] = [short(v) for v in rows[f"{metric}_corrected"]]
            if f"{metric}_floor" in rows and rows[f"{metric}_floor"].notna().any():
                table[f"{metric_title(metric)} of real images"] = [short(v) for v in rows[f"{metric}_floor"]]
    table["frontier"] = ["yes" if cell in best else "" for cell in rows["cell"]]
    return table


def comparison_table(comparisons: Sequence[Comparison]) -> pd.DataFrame:
    """One line per model and rule: its best cell, and what it saves at CFG's best quality."""
    lines = []
    for c in comparisons:
        line: dict[str, object] = {
            "model": c.model,
            "rule": RULES[c.rule].title,
            "best settings": settings_text(c.best),
            metric_title(c.quality): with_error(c.best["quality"], c.best["quality_se"]),
            "against CFG's best": _interval(c.differences[c.quality]),
        }
        if "recall" in c.differences:
            gap = c.differences["recall"]
            line["recall against CFG's"] = _interval(gap)
        for axis, found in c.savings.items():
            name = "GMACs saved" if axis == "gmacs_per_image" else "seconds saved"
            if not found.reached:
                line[name] = f"not reached ({found.probability_reached:.0%} of draws reach it)"
            else:
                line[name] = f"{found.share:.0%} [{_bound(found.lower)}, {_bound(found.upper)}]"
        lines.append(line)
    return pd.DataFrame(lines)


def group_table(rows: pd.DataFrame, metrics: Sequence[str]) -> pd.DataFrame:
    """Each rule's best cell by every metric of prompts, group by group; empty where no metric has groups."""
    lines = []
    for metric in metrics:
        columns = [str(column) for column in rows if str(column).startswith(f"{metric}[")]
        groups = [column.removeprefix(f"{metric}[")[:-1] for column in columns if column.endswith("]")]
        for model in dict.fromkeys(rows["model"]) if groups else ():
            for rule in rules_of(rows, model):
                best = best_row(with_quality(rule_rows(rows, model, rule), metric))
                parts = {
                    group: with_error(best[f"{metric}[{group}]"], best[f"{metric}[{group}]_se"]) for group in groups
                }
                line = {"model": model, "rule": RULES[rule].title, "settings": settings_text(best)}
                lines.append({**line, "metric": metric_title(metric), **parts})
    return pd.DataFrame(lines)


def short(value: float) -> str:
    """A value beside one with an error, to three decimals or as many digits as a small one has."""
    if value != value:
        return ""
    return f"{value:.3f}" if abs(value) >= 0.01 else f"{value:.2g}"


def _interval(gap: Difference) -> str:
    digits = decimals(gap.standard_error)
    return f"{gap.value:+.{digits}f} [{gap.lower:+.{digits}f}, {gap.upper:+.{digits}f}]"


def _bound(share: float) -> str:
    return "not reached" if share == float("-inf") else f"{share:.0%}"


def _frontier_cells(rows: pd.DataFrame) -> set[str]:
    """Cells on the frontier of their own model and rule, in GMACs."""
    cells: set[str] = set()
    for model in dict.fromkeys(rows["model"]):
        for rule in rules_of(rows, model):
            cells |= set(on_frontier(rule_rows(rows, model, rule), "gmacs_per_image")["cell"])
    return cells
