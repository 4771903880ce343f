"""Rows as the report uses them: the suite's own, checked to be of one protocol, grouped by model and rule."""

from __future__ import annotations

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
from sgbench.results.schema import succeeded
from sgbench.results.store import Store
from sgbench.score.protocols import suite_protocols
from sgbench.stats.frontier import Point, frontier
from sgbench.suite.schema import Suite

Axis = Literal["gmacs_per_image", "seconds_per_image", "joules_per_image"]
AXES: dict[Axis, str] = {
    "gmacs_per_image": "GMACs per image",
    "seconds_per_image": "seconds per image",
    "joules_per_image": "joules per image",
}
# Seconds and joules compare where these agree.
CLOCK = ("device", "threads", "batch")
ENDS = ("", "_se", "_corrected", "_replicates", "_floor", "_floor_sd", "_protocol", "_percentiles")
NAMED = 3


class Selection(NamedTuple):
    """A suite's rows, the metrics that they hold, and what the suite asked for beyond them, in sentences."""

    rows: pd.DataFrame
    metrics: list[str]
    missing: list[str]


def select_rows(suite: Suite, cells: Sequence[Cell], store: Store) -> Selection:
    """The rows of the suite's cells at its number of images, in the suite's order.

    `quality` and its kin repeat the columns of the first metric that can stand for it. Raises UserError when no cell
    has a row, or none has a score that a frontier could be drawn of.
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
        *_failed(wanted, failed),
        *_absent(suite, wanted, {*rows["cell"], *failed}),
        *_unmeasured(rows),
    ]
    if not suite.metrics:
        return Selection(rows, [], missing)
    # Scores that were made for other suites' metrics stay out: nothing vouches for their protocol here.
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
    missing += _unscored(suite, wanted, rows)
    return Selection(with_quality(rows, qualities(metrics)[0]), metrics, missing)


def _failed(wanted: dict[str, Cell], failed: dict[str, str]) -> list[str]:
    """A sentence on the cells that failed, by id, with the reason of each."""
    if not failed:
        return []
    named = [f"{wanted[name].describe()} ({reason})" for name, reason in list(failed.items())[:NAMED]]
    more = [f"and {len(failed) - NAMED} more"] if len(failed) > NAMED else []
    return [
        f"{len(failed)} of {len(wanted)} cells failed and stand nowhere here: {'; '.join([*named, *more])}. "
        "`sgbench run` tries them again."
    ]


def _absent(suite: Suite, wanted: dict[str, Cell], there: set[str]) -> list[str]:
    cells = [cell for key, cell in wanted.items() if key not in there]
    if not cells:
        return []
    return [
        f"{len(cells)} of {len(wanted)} cells have no scores at {suite.samples:,} images and stand nowhere here: "
        f"{_some(cells)}. `sgbench run` and `sgbench score` complete them."
    ]


def _unmeasured(rows: pd.DataFrame) -> list[str]:
    """Why rows have no common axis of seconds, or of joules that some of them have."""
    said = []
    for column in CLOCK:
        ways = [str(way) for way in dict.fromkeys(rows[column])]
        if len(ways) > 1:
            said.append(
                f"Seconds are not compared: {column} differs between cells ({', '.join(ways[:NAMED])}"
                f"{', ...' if len(ways) > NAMED else ''}). `sgbench time` measures all of them again on one machine."
            )
            break
    metered = rows["joules_per_image"].notna() if "joules_per_image" in rows else pd.Series(False, rows.index)
    if metered.any() and not metered.all():
        said.append(f"Joules are not compared: {(~metered).sum()} of {len(rows)} cells have none.")
    return said


def _unscored(suite: Suite, cells: dict[str, Cell], rows: pd.DataFrame) -> list[str]:
    """A sentence for each metric that some cells do not have; only the unguided one has no LPIPS to itself."""
    said = []
    for metric in suite.metrics:
        present = rows[metric].notna() if metric in rows else pd.Series(False, rows.index)
        lacking = [cells[str(name)] for name in rows.loc[~present, "cell"]]
        if metric == "lpips":
            lacking = [cell for cell in lacking if cell != cell.unguided()]
        if lacking:
            said.append(
                f"{len(lacking)} of {len(rows)} cells have no score of {metric_title(metric)}: {_some(lacking)}. "
                "`sgbench score` adds what is missing."
            )
    return said


def _some(cells: Sequence[Cell]) -> str:
    named = "; ".join(cell.describe() for cell in cells[:NAMED])
    return named if len(cells) <= NAMED else f"{named}; and {len(cells) - NAMED} more"


def axes_of(rows: pd.DataFrame) -> list[Axis]:
    """Cost axes on which all rows may stand together: what was measured of all, on one device and in one way."""
    alike = len(rows[list(CLOCK)].drop_duplicates()) == 1
    joules = "joules_per_image" in rows and bool(rows["joules_per_image"].notna().all())
    measured: list[Axis] = ["seconds_per_image", *(["joules_per_image"] if joules else [])]  # type: ignore[list-item]
    return ["gmacs_per_image", *(measured if alike else [])]


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
            continue  # told among what is missing
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


def rule_rows(rows: pd.DataFrame, model: str, rule: str) -> pd.DataFrame:
    """Rows of one rule on one model."""
    return rows[(rows["model"] == model) & (rows["guidance"] == rule)].reset_index(drop=True)


def rules_of(rows: pd.DataFrame, model: str) -> list[str]:
    """Rules with rows for `model`, in the order of the rules' list."""
    present = set(rows.loc[rows["model"] == model, "guidance"])
    return [rule for rule in RULES if rule in present]


def points(rows: pd.DataFrame, axis: Axis) -> list[Point]:
    """Quality of `rated` rows against a cost axis, with replicates; turned round where higher is better."""
    sign = sign_of(str(rows["quality_metric"].iloc[0]))
    return [
        Point(float(cost), sign * float(value), tuple(sign * r for r in replicates(text)))
        for cost, value, text in zip(rows[axis], rows["quality"], rows["quality_replicates"], strict=True)
    ]


def sign_of(metric: str) -> int:
    """1 for a metric that is better when lower, -1 for one that is better when higher."""
    return -1 if METRICS[metric].better == "higher" else 1


def noun_of(metric: str) -> str:
    """What sentences call a value of a metric."""
    return "score" if METRICS[metric].better == "higher" else "distance"


def replicates(text: str) -> tuple[float, ...]:
    """Jackknife replicates as they stand in rows.csv."""
    return tuple(float(part) for part in text.split())


def on_frontier(rows: pd.DataFrame, axis: Axis) -> pd.DataFrame:
    """The rows on the frontier of quality against `axis`, by rising cost."""
    rows = rated(rows)
    kept = frontier(rows[axis].tolist(), (sign_of(str(rows["quality_metric"].iloc[0])) * rows["quality"]).tolist())
    return rows.iloc[kept].reset_index(drop=True)


def settings_text(row: pd.Series | Mapping[Any, Any]) -> str:
    """A row's settings in a few words: `w 2, gamma 0 / 0.7, 10 steps`."""
    rule = RULES[row["guidance"]]
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
    sampler = "" if row.get("sampler", "euler") == "euler" else f"{row['sampler']} "
    return ", ".join([*parts, f"{sampler}{row['steps']} steps"])


def _short(value: object) -> str:
    """A number of rows.csv in short, also from a column that is text throughout since it holds schedules."""
    try:
        return f"{float(str(value)):g}"
    except ValueError:
        return str(value)


def best_row(rows: pd.DataFrame) -> pd.Series:
    """The row of best quality; rows without one are passed over."""
    sign = sign_of(str(rows["quality_metric"].iloc[0]))
    return rows.iloc[int(np.nanargmin((sign * rows["quality"]).to_numpy()))]


def quality_title(rows: pd.DataFrame) -> str:
    """The name of the metric that stands for quality."""
    return metric_title(str(rows["quality_metric"].iloc[0]))


def metric_title(metric: str) -> str:
    """A metric's name as it stands in tables and on axes."""
    return METRICS[metric].title
