"""Rows as the report uses them: the suite's own, checked to be of one protocol, grouped by model and rule."""

import re
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any, Literal, NamedTuple

import numpy as np
import pandas as pd

from sgbench.base.errors import UserError
from sgbench.cells.cell import Cell
from sgbench.cells.identity import cell_id
from sgbench.cells.settings import NEUTRAL, parameters_text
from sgbench.guidance import RULES
from sgbench.metrics.catalogue import METRICS, qualities
from sgbench.metrics.protocols import Protocol, from_record, require_one
from sgbench.models import catalogue
from sgbench.report.missing import CLOCK, absent_cells, absent_scores, costs_apart, failed_cells
from sgbench.results.schema import succeeded
from sgbench.results.store import Store
from sgbench.score.protocols import suite_protocols
from sgbench.stats.estimates import with_error
from sgbench.stats.frontier import Point, Standing, standings
from sgbench.suite.schema import Suite

Axis = Literal["gmacs_per_image", "seconds_per_image", "joules_per_image"]
AXES: dict[Axis, str] = {
    "gmacs_per_image": "GMACs per image",
    "seconds_per_image": "seconds per image",
    "joules_per_image": "joules per image",
}
ENDS = ("", "_se", "_corrected", "_replicates", "_floor", "_floor_sd", "_protocol", "_percentiles")


class Selection(NamedTuple):
    """A suite's rows, the metrics that they have, and sentences about what is missing."""

    rows: pd.DataFrame
    metrics: list[str]
    missing: list[str]

    @property
    def models(self) -> list[str]:
        """The models in the order of the rows."""
        return list(dict.fromkeys(self.rows["model"]))

    @property
    def axes(self) -> list[Axis]:
        """Cost axes on which all rows can be compared: measured for all, on one device and in one way."""
        found: list[Axis] = ["gmacs_per_image"]
        if len(self.rows[list(CLOCK)].drop_duplicates()) == 1:
            found.append("seconds_per_image")
            if "joules_per_image" in self.rows and self.rows["joules_per_image"].notna().all():
                found.append("joules_per_image")
        return found


def select_rows(suite: Suite, cells: Sequence[Cell], store: Store) -> Selection:
    """The rows of the suite's cells at its number of images, in the suite's order.

    `quality`, `quality_se` and so on repeat the columns of the first metric of quality. Raises UserError when no cell
    has a row, or none has a score of quality.
    """
    wanted = {cell_id(cell): cell for cell in cells}
    rows = store.read_rows()
    rows = rows[rows["cell"].isin(list(wanted)) & (rows["samples"] == suite.samples)]
    failed = {str(cell): str(reason) for cell, reason in zip(rows["cell"], rows["failed"], strict=True) if reason}
    rows = succeeded(rows)
    if rows.empty:
        why = f", since {len(failed)} failed: {next(iter(failed.values()))}" if failed else ""
        raise UserError(
            f"none of {len(wanted)} cells has scores at {suite.samples} images{why}",
            where=f"rows of {suite.suite}",
            fix="run `sgbench run` and `sgbench score` with the same options first",
        )
    place = {key: number for number, key in enumerate(wanted)}
    rows = rows.sort_values("cell", key=lambda ids: ids.map(place), kind="stable").reset_index(drop=True)
    missing = [
        *failed_cells(wanted, failed),
        *absent_cells(suite, wanted, {*rows["cell"], *failed}),
        *costs_apart(rows),
    ]
    if not suite.metrics:
        return Selection(rows, [], missing)
    # Scores of metrics of other suites are dropped: their protocol is not checked here.
    unasked = {f"{metric}{end}" for metric in METRICS if metric not in suite.metrics for end in ENDS}
    groups = [column for column in map(str, rows.columns) if "[" in column]
    foreign = {c for c in groups if c.partition("[")[0] not in suite.metrics or rows[c].isna().all()}
    rows = rows.drop(columns=[c for c in rows.columns if c in unasked | foreign])
    metrics = [metric for metric in suite.metrics if metric in rows and rows[metric].notna().any()]
    if not qualities(metrics):
        raise UserError(
            f"no cell has a score of {' or '.join(qualities(suite.metrics))} at {suite.samples} images",
            where=f"rows of {suite.suite}",
            fix="run `sgbench score` first",
        )
    missing += absent_scores(suite, wanted, rows)
    return Selection(with_quality(rows, qualities(metrics)[0]), metrics, missing)


def rated(rows: pd.DataFrame) -> pd.DataFrame:
    """The rows that have a quality."""
    return rows[rows["quality"].notna()].reset_index(drop=True)


def with_quality(rows: pd.DataFrame, metric: str) -> pd.DataFrame:
    """The rows with the columns of one metric repeated as `quality`, `quality_se` and so on."""
    columns = {
        f"quality{suffix}": rows.get(f"{metric}{suffix}", pd.Series(float("nan"), rows.index))
        for suffix in ("", "_se", "_replicates", "_floor", "_floor_sd")
    }
    return rows.assign(**columns, quality_metric=metric)


def protocols_of(suite: Suite, rows: pd.DataFrame, store: Store) -> dict[str, Protocol]:
    """The one protocol of each metric in the rows.

    Raises UserError, naming the difference, for rows of several protocols, and for rows of another protocol than this
    version scores under. Where reference or weights are not at hand, committed rows are taken as they are.
    """
    where, fix = f"rows of {suite.suite}", "run `sgbench score` again: values of different protocols never meet"
    try:
        expected = suite_protocols(suite)
    except UserError:
        expected = {}
    known = store.read_protocols()
    found = {}
    for metric in suite.metrics:
        ids = rows.get(f"{metric}_protocol", pd.Series(dtype=str)).dropna().unique()
        if not len(ids):
            continue  # Listed among what is missing.
        present = [from_record(known.get(name, {})) for name in ids]
        if not all(present):
            raise UserError(f"{metric} was scored by an older version", where=where, fix="run `sgbench score` again")
        ours = [expected[metric]] if metric in expected else []
        found[metric] = require_one([*(p for p in present if p is not None), *ours], where, fix)
    return found


def file_names(models: Sequence[str]) -> dict[str, str]:
    """For each model a part of file names: without paths, and numbered where two models would share it."""
    plain = {model: re.sub(r"[^\w.-]+", "-", catalogue.entry(model).identity) for model in dict.fromkeys(models)}
    taken: Counter[str] = Counter()
    found = {}
    for model, name in plain.items():
        taken[name] += 1
        found[model] = name if taken[name] == 1 else f"{name}-{taken[name]}"
    return found


def by_rule(rows: pd.DataFrame, model: str) -> dict[str, pd.DataFrame]:
    """The rows of a model by rule, in the order of the rules' list."""
    own = rows[rows["model"] == model]
    present = set(own["guidance"])
    return {rule: own[own["guidance"] == rule] for rule in RULES if rule in present}


def points(rows: pd.DataFrame, axis: Axis) -> list[Point]:
    """Quality of `rated` rows against a cost axis, with replicates, so that lower is better."""
    sign = sign_of(quality_metric(rows))
    return [
        Point(float(cost), sign * float(value), tuple(sign * r for r in replicates(text)))
        for cost, value, text in zip(rows[axis], rows["quality"], rows["quality_replicates"], strict=True)
    ]


def standings_of(rows: pd.DataFrame, axis: Axis = "gmacs_per_image") -> dict[str, Standing]:
    """Each cell's standing among the cells of its own model and rule; cells without a quality have none."""
    found: dict[str, Standing] = {}
    known = rated(rows)
    for _, own in known[known[axis].notna()].groupby(["model", "guidance"], sort=False):
        found |= zip(own["cell"], standings(points(own, axis)), strict=True)
    return found


def quality_metric(rows: pd.DataFrame) -> str:
    """The metric whose values are in the columns of quality."""
    return str(rows["quality_metric"].iloc[0])


def sign_of(metric: str) -> int:
    """1 for a metric that is better when lower, -1 for one that is better when higher."""
    return -1 if METRICS[metric].better == "higher" else 1


def replicates(text: str) -> tuple[float, ...]:
    """Jackknife replicates from their text in rows.csv."""
    return tuple(float(part) for part in text.split())


def settings_text(row: pd.Series | Mapping[Any, Any]) -> str:
    """A row's settings in a few words: `w 2, gamma 0 / 0.7, 10 steps`."""
    rule, segments = RULES[row["guidance"]], row.get("segments")
    if isinstance(segments, str) and segments:
        return ", ".join([segments, _sampling(row)])
    parts = [f"w {row['scale']:g}"] if rule.takes_scale else []
    strong, weak = _short(row["gamma_strong"]), _short(row["gamma_weak"])
    if rule.takes_gamma_weak and (rule.gammas_default is None or (strong, weak) != ("0", "0")):
        parts.append(f"gamma {strong} / {weak}")
    elif rule.takes_gamma_strong and not rule.takes_gamma_weak:
        parts.append(f"gamma {strong}")
    others = {name: row.get(name) for name, neutral in NEUTRAL.items() if row.get(name, neutral) != neutral}
    # Rows of older versions do not know everything.
    parts += [f"{name} {_short(value)}" for name, value in others.items() if value == value]
    if parameters := parameters_text(row.get("parameters")):
        parts.append(parameters)
    return ", ".join([*parts, _sampling(row)])


def _sampling(row: pd.Series | Mapping[Any, Any]) -> str:
    sampler = "" if row.get("sampler", "euler") == "euler" else f"{row['sampler']} "
    return f"{sampler}{row['steps']} steps"


def _short(value: object) -> str:
    """A setting as a short number, or as its text."""
    try:
        return f"{float(str(value)):g}"
    except ValueError:
        return str(value)


def constant_gamma(rows: pd.DataFrame, column: str = "gamma_strong") -> pd.Series:
    """A gamma of each row as a number, NaN where it is a schedule: with one in it, the column is text throughout."""
    return pd.to_numeric(rows[column], errors="coerce")


def lower_is_better(rows: pd.DataFrame) -> pd.Series:
    """The quality of some rows, negated if higher is better."""
    return sign_of(quality_metric(rows)) * rows["quality"]


def best_row(rows: pd.DataFrame) -> pd.Series:
    """The row of best quality; rows without one are skipped."""
    return rows.iloc[int(np.nanargmin(lower_is_better(rows).to_numpy()))]


def value_text(row: pd.Series) -> str:
    """A row's quality with its error."""
    return with_error(row["quality"], row["quality_se"])
