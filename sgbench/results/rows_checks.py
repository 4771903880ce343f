"""Whether the values in a table of rows can be what `score` wrote: numbers that are numbers, whole where they count."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Final

import numpy as np
import pandas as pd

from sgbench.base.errors import UserError
from sgbench.base.printable import steers
from sgbench.cells.settings import NEUTRAL
from sgbench.metrics.catalogue import METRICS

COUNTS: Final = ("steps", "samples", "batch", "threads")
COSTS: Final = (
    *("gmacs_per_step", "gmacs_per_image", "gflops_per_image", "paper_gmacs_per_step", "paper_gmacs_per_image"),
    *("seconds_per_image", "seconds_q25", "seconds_q75", "images_per_second", "decode_gmacs_per_image"),
    *("decode_seconds_per_image", "peak_mib", "joules_per_image", "scale"),
    *(name for name, value in NEUTRAL.items() if isinstance(value, float) and np.isfinite(value)),
)
PARTS: Final = ("", "_se", "_corrected", "_floor", "_floor_sd")
LISTS: Final = {"_replicates": 2, "_percentiles": 1}


def check_values(rows: pd.DataFrame, where: str, fix: str) -> None:
    """Raises UserError naming the first column, and the cell, with a value that no version writes."""
    for column in COUNTS:
        _check_numbers(rows, column, where, fix, least=1, whole=True)
    for column in ("seed", "other_devices"):
        _check_numbers(rows, column, where, fix, least=0, whole=True)
    for column in COSTS:
        _check_numbers(rows, column, where, fix, least=0)
    for metric in METRICS:
        for part in PARTS:
            _check_numbers(rows, f"{metric}{part}", where, fix)
        for part, least in LISTS.items():
            _check_lists(rows, f"{metric}{part}", least, where, fix)
        _check_complete(rows, metric, where, fix)
    for column in (c for c in map(str, rows.columns) if "[" in c and c.partition("[")[0] in METRICS):
        _check_numbers(rows, column, where, fix)
    wrong = rows["parameters"].map(lambda value: not _is_parameters(value))
    if wrong.any():
        raise _refused(rows, "parameters", wrong, "no JSON object of names and values", where, fix)
    _check_texts(rows, where, fix)


def _is_parameters(value: object) -> bool:
    if value == "":
        return True
    try:
        found = json.loads(str(value))
    except (ValueError, RecursionError):
        return False
    return isinstance(found, dict) and all(type(one) in (int, float, str) for one in found.values())


def _check_numbers(
    rows: pd.DataFrame, column: str, where: str, fix: str, least: float = -np.inf, whole: bool = False
) -> None:
    if column not in rows:
        return
    given = rows[column]
    numbers = pd.to_numeric(given, errors="coerce").astype(float)
    wrong = (numbers.isna() & given.notna()) | np.isinf(numbers) | (numbers < least)
    # A table keeps text where any value is text: sums and orders of it would be those of letters.
    wrong |= given.notna() & (given.dtype == object) & given.map(lambda value: isinstance(value, str))
    if whole:
        wrong |= numbers.notna() & ((numbers % 1 != 0) | (numbers >= 2.0**63))
    if wrong.any():
        raise _refused(rows, column, wrong, "no whole number that counts" if whole else "no number", where, fix)


def _check_lists(rows: pd.DataFrame, column: str, least: int, where: str, fix: str) -> None:
    if column not in rows:
        return
    wrong = rows[column].map(lambda value: not _is_list(value, least)) & rows[column].notna()
    if wrong.any() and column.endswith("_replicates"):
        raise _incomplete(rows, column.removesuffix("_replicates"), wrong, where, fix)
    if wrong.any():
        raise _refused(rows, column, wrong, "no list of numbers", where, fix)


def _is_list(value: object, least: int) -> bool:
    try:
        numbers = [float(part) for part in str(value).split()]
    except ValueError:
        return False
    return len(numbers) >= least and bool(np.isfinite(numbers).all())


def _check_complete(rows: pd.DataFrame, metric: str, where: str, fix: str) -> None:
    """A value without its error, replicates or protocol cannot be compared with anything."""
    if metric not in rows:
        return
    for part in ("_se", "_replicates", "_protocol"):
        column = f"{metric}{part}"
        there = rows[column].notna() if column in rows else pd.Series(False, rows.index)
        wrong = rows[metric].notna() & ~there
        if wrong.any():
            raise _incomplete(rows, metric, wrong, where, fix)


def _incomplete(rows: pd.DataFrame, metric: str, wrong: pd.Series, where: str, fix: str) -> UserError:
    cell = rows[wrong].iloc[0]["cell"]
    return UserError(f"{metric} of cell {cell!s:.40} has no error, replicates or protocol", where=where, fix=fix)


def _check_texts(rows: pd.DataFrame, where: str, fix: str) -> None:
    for column in map(str, rows.select_dtypes(include=["object", "string"]).columns):
        if any(map(steers, column)):
            raise UserError(f"a column's name holds a control character: {column}", where=where, fix=fix)
        texts = pd.Series(pd.unique(rows[column].dropna()), dtype=object).map(str)
        # Nearly all texts are plain, and that is told at once.
        odd = [text for text in texts if not (text.isascii() and text.isprintable()) and any(map(steers, text))]
        if odd:
            raise UserError(f"{column} of a row holds a control character: {odd[0]:.40}", where=where, fix=fix)


def _refused(
    rows: pd.DataFrame, column: str, wrong: Sequence[bool] | pd.Series, what: str, where: str, fix: str
) -> UserError:
    first = rows[wrong].iloc[0]
    return UserError(f"{column} of cell {first['cell']!s:.40} is {what}: {first[column]!s:.40}", where=where, fix=fix)
