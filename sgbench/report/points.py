"""Rows as the report uses them: the suite's own, checked to be of one protocol, grouped by model and rule."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import pandas as pd

from sgbench.errors import UserError
from sgbench.guidance import RULES
from sgbench.score.protocols import METRICS, protocol
from sgbench.stats.frontier import Point, frontier
from sgbench.suite.cell import Cell
from sgbench.suite.identity import cell_id
from sgbench.suite.schema import Suite

Axis = Literal["gmacs_per_image", "seconds_per_image"]
AXES: dict[Axis, str] = {"gmacs_per_image": "GMACs per image", "seconds_per_image": "seconds per image"}


def select_rows(suite: Suite, cells: Sequence[Cell], rows: pd.DataFrame) -> pd.DataFrame:
    """The rows of the suite's cells at its number of images, all scored under this version's protocols.

    Raises UserError when a cell has no row, or when a row was scored under another protocol.
    """
    wanted = {cell_id(cell): cell for cell in cells}
    chosen = rows[rows["cell"].isin(list(wanted)) & (rows["samples"] == suite.samples)].reset_index(drop=True)
    absent = [cell for key, cell in wanted.items() if key not in set(chosen["cell"])]
    if absent:
        raise UserError(
            f"{len(absent)} of {len(wanted)} cells have no scores at {suite.samples} images "
            f"(first: {absent[0].describe()})",
            where=f"rows of {suite.suite}",
            fix="run `sgbench run` and `sgbench score` with the same options first",
        )
    for metric in suite.metrics:
        expected = protocol(metric, suite.samples, suite.labels, suite.reference).id
        found = set(chosen.get(f"{metric}_protocol", pd.Series(["none"])))
        if found != {expected}:
            raise UserError(
                f"{metric} was scored under protocol {', '.join(sorted(map(str, found)))}, not {expected}",
                where=f"rows of {suite.suite}",
                fix="run `sgbench score` again: values of different protocols are never put together",
            )
    return chosen


def rule_rows(rows: pd.DataFrame, model: str, rule: str) -> pd.DataFrame:
    """Rows of one rule on one model."""
    return rows[(rows["model"] == model) & (rows["guidance"] == rule)].reset_index(drop=True)


def rules_of(rows: pd.DataFrame, model: str) -> list[str]:
    """Rules with rows for `model`, in the order of the rules' list."""
    present = set(rows.loc[rows["model"] == model, "guidance"])
    return [rule for rule in RULES if rule in present]


def points(rows: pd.DataFrame, axis: Axis) -> list[Point]:
    """FD against a cost axis, with replicates."""
    return [
        Point(float(cost), float(value), replicates(text))
        for cost, value, text in zip(rows[axis], rows["fd"], rows["fd_replicates"], strict=True)
    ]


def replicates(text: str) -> tuple[float, ...]:
    """Jackknife replicates as they stand in rows.csv."""
    return tuple(float(part) for part in text.split())


def on_frontier(rows: pd.DataFrame, axis: Axis) -> pd.DataFrame:
    """The rows on the frontier of FD against `axis`, by rising cost."""
    kept = frontier(rows[axis].tolist(), rows["fd"].tolist())
    return rows.iloc[kept].reset_index(drop=True)


def settings_text(row: pd.Series) -> str:
    """A row's settings in a few words: `w 2, gamma 0 / 0.7, 10 steps`."""
    rule = RULES[row["guidance"]]
    parts = [f"w {row['scale']:g}"] if rule.takes_scale else []
    strong, weak = _gamma(row["gamma_strong"]), _gamma(row["gamma_weak"])
    if rule.takes_gamma_weak and (rule.gammas_default is None or (strong, weak) != ("0", "0")):
        parts.append(f"gamma {strong} / {weak}")
    elif rule.takes_gamma_strong and not rule.takes_gamma_weak:
        parts.append(f"gamma {strong}")
    parts += [f"{name} {row[name]}" for name, usual in USUAL.items() if name in row and str(row[name]) != usual]
    if isinstance(row.get("parameters"), str) and row["parameters"]:
        parts.append(row["parameters"])
    sampler = "" if row.get("sampler", "euler") == "euler" else f"{row['sampler']} "
    return ", ".join([*parts, f"{sampler}{row['steps']} steps"])


# Settings that are told only where they are not these.
USUAL = {
    "interval": "always",
    "scale_schedule": "constant",
    "rescale": "0.0",
    "channels": "own",
    "subset": "exact",
    "sharing": "independent",
    "shift": "1.0",
    "churn": "0.0",
}


def _gamma(value: object) -> str:
    """A gamma of rows.csv, where a column with schedules in it is text throughout."""
    try:
        return f"{float(str(value)):g}"
    except ValueError:
        return str(value)


def best_row(rows: pd.DataFrame) -> pd.Series:
    """The row of lowest distance."""
    return rows.iloc[int(rows["fd"].to_numpy().argmin())]


def metric_title(metric: str) -> str:
    """A metric's name as it stands in tables and on axes."""
    return METRICS[metric].title
