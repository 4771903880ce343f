"""Which models of the rows are checkpoints of one training run, and the best cells along it."""

from __future__ import annotations

import re
from collections.abc import Sequence

import pandas as pd

from sgbench.models import catalogue, spec
from sgbench.report.select_rows import best_row, rated

TRAINED = ("iterations", "auxiliary_iterations")


def families(rows: pd.DataFrame) -> list[dict[str, list[str]]]:
    """For each architecture its training runs, for each run its models; only models whose iterations are known.

    Checkpoints whose names differ in digits alone are of one run; a fine-tune has another name.
    """
    if not set(TRAINED) <= set(rows.columns):
        return []
    found: dict[object, dict[str, list[str]]] = {}
    for model in dict.fromkeys(rows.loc[rows["iterations"].notna(), "model"]):
        entry = catalogue.entry(model)
        runs = found.setdefault((entry.family.name, entry.architecture), {})
        name = spec.parse(model, "model").weights if spec.is_spec(model) else model
        runs.setdefault(re.sub(r"\d+", "*", name), []).append(model)
    return list(found.values())


def best_along(rows: pd.DataFrame, models: Sequence[str], rule: str, column: str) -> pd.DataFrame:
    """The best cell of a rule at each value of `column` among some models, by rising value."""
    own = rated(rows[rows["model"].isin(models) & (rows["guidance"] == rule) & rows[column].notna()])
    return pd.DataFrame([best_row(cells) for _, cells in own.groupby(column)])
