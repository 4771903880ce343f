"""Reading rows.csv, or a table like it: whole, of a known version, with values that `score` can have written. No torch.

Every check of rows is made here and in `schema.py`; whoever gets rows from `read_rows` takes them as they are.
"""

import json
from pathlib import Path
from typing import Final

import numpy as np
import pandas as pd

from sgbench.base.errors import UserError
from sgbench.base.printable import is_control
from sgbench.cells.settings import NEUTRAL
from sgbench.metrics.catalogue import METRICS
from sgbench.results.own_code import recall
from sgbench.results.schema import AGAIN, migrate
from sgbench.results.verified_files import table_problem

COUNTS: Final = ("steps", "samples", "batch", "threads")
COSTS: Final = (
    *("gmacs_per_step", "gmacs_per_image", "gflops_per_image", "paper_gmacs_per_step", "paper_gmacs_per_image"),
    *("seconds_per_image", "seconds_q25", "seconds_q75", "images_per_second", "decode_gmacs_per_image"),
    *("decode_seconds_per_image", "peak_mib", "joules_per_image", "scale"),
    *(name for name, value in NEUTRAL.items() if isinstance(value, float) and np.isfinite(value)),
)
PARTS: Final = ("", "_se", "_corrected", "_floor", "_floor_sd")


def read_rows(path: Path) -> pd.DataFrame:
    """Rows of a csv or parquet file, brought to this version's schema. Raises UserError for anything else."""
    where = str(path)
    if not path.is_file():
        raise UserError("there are no scored cells", where=where, fix="run `sgbench score SUITE` first")
    recall(path.parent)
    problem = table_problem(path)
    if problem:
        raise UserError(problem, where=where, fix=AGAIN)
    try:
        rows = migrate(pd.read_parquet(path) if path.suffix == ".parquet" else _read_csv(path), where)
        _check_values(rows, where)
    except ImportError as error:
        fix = "pip install 'sgbench[parquet]', or give rows.csv"
        raise UserError("reading Parquet needs pyarrow", where=where, fix=fix) from error
    except OverflowError as error:
        raise UserError(f"a number is too large ({error})", where=where, fix=AGAIN) from error
    # pandas reports a damaged table in many ways, all of them kinds of ValueError.
    except (OSError, ValueError) as error:
        reason = str(error).splitlines()[0] if str(error) else "it is empty"
        raise UserError(f"this is not a table of rows ({reason})", where=where, fix=AGAIN) from error
    return rows


def _read_csv(path: Path) -> pd.DataFrame:
    columns = pd.read_csv(path, nrows=0).columns
    # Digests may look like numbers, and a lone replicate or percentile is one.
    ends = ("_protocol", "_sha256", "_replicates", "_percentiles")
    texts = [c for c in columns if c in ("cell", "commit", "failed") or c.endswith(ends)]
    return pd.read_csv(path, dtype=dict.fromkeys(texts, str))


def _check_values(rows: pd.DataFrame, where: str) -> None:
    """Raises UserError naming the first column, and the cell, with a value that no version writes."""
    for column in COUNTS:
        _check_numbers(rows, column, where, least=1, whole=True)
    for column in ("seed", "other_devices"):
        _check_numbers(rows, column, where, least=0, whole=True)
    for column in COSTS:
        _check_numbers(rows, column, where, least=0)
    for metric in METRICS:
        for part in PARTS:
            _check_numbers(rows, f"{metric}{part}", where)
        percentiles = f"{metric}_percentiles"
        _refuse(rows, _not_lists(rows, percentiles, 1), percentiles, "is not a list of numbers", where)
        # A value without these cannot be compared with anything.
        incomplete = "has no error, replicates or protocol"
        _refuse(rows, _not_lists(rows, f"{metric}_replicates", 2), metric, incomplete, where)
        nothing = pd.Series(np.nan, rows.index)
        for part in ("_se", "_replicates", "_protocol"):
            lacking = rows.get(metric, nothing).notna() & rows.get(f"{metric}{part}", nothing).isna()
            _refuse(rows, lacking, metric, incomplete, where)
    for column in (c for c in map(str, rows.columns) if "[" in c and c.partition("[")[0] in METRICS):
        _check_numbers(rows, column, where)
    wrong = rows["parameters"].map(lambda value: not _is_parameters(value))
    _refuse(rows, wrong, "parameters", "is not a JSON object of names and values", where)
    _check_texts(rows, where)
    twice = rows.duplicated(["cell", "samples"])
    if twice.any():
        row = rows[twice].iloc[0]
        cell = f"cell {row['cell']!s:.40} ({row['model']!s:.80}, {row['guidance']})"
        raise UserError(f"{cell} has two rows of {row['samples']} images", where=where, fix=AGAIN)


def _is_parameters(value: object) -> bool:
    if value == "":
        return True
    try:
        found = json.loads(str(value))
    except (ValueError, RecursionError):
        return False
    return isinstance(found, dict) and all(type(one) in (int, float, str) for one in found.values())


def _check_numbers(rows: pd.DataFrame, column: str, where: str, least: float = -np.inf, whole: bool = False) -> None:
    if column not in rows:
        return
    given = rows[column]
    numbers = pd.to_numeric(given, errors="coerce").astype(float)
    wrong = (numbers.isna() & given.notna()) | np.isinf(numbers) | (numbers < least)
    # A table keeps text where any value is text: sums and orders of it would be those of letters.
    wrong |= given.notna() & (given.dtype == object) & given.map(lambda value: isinstance(value, str))
    if whole:
        wrong |= numbers.notna() & ((numbers % 1 != 0) | (numbers >= 2.0**63))
    kind = "a number" if least == -np.inf else f"a {'whole ' if whole else ''}number of at least {least:g}"
    value = f"{given[wrong].iloc[0]!s:.40}" if wrong.any() else ""
    _refuse(rows, wrong, column, f"is not {kind}: {value}", where)


def _not_lists(rows: pd.DataFrame, column: str, least: int) -> pd.Series:
    """Which rows have something else in a column than a list of at least so many numbers, or nothing."""

    def is_list(value: object) -> bool:
        try:
            numbers = [float(part) for part in str(value).split()]
        except ValueError:
            return False
        return len(numbers) >= least and bool(np.isfinite(numbers).all())

    given = rows.get(column, pd.Series(np.nan, rows.index))
    return given.notna() & ~given.map(is_list).astype(bool)


def _check_texts(rows: pd.DataFrame, where: str) -> None:
    for column in map(str, rows.select_dtypes(include=["object", "string"]).columns):
        if any(map(is_control, column)):
            raise UserError(f"a column's name holds a control character: {column}", where=where, fix=AGAIN)
        texts = pd.Series(pd.unique(rows[column].dropna()), dtype=object).map(str)
        # Nearly all texts are plain, and checked at once.
        odd = [text for text in texts if not (text.isascii() and text.isprintable()) and any(map(is_control, text))]
        if odd:
            raise UserError(f"{column} of a row holds a control character: {odd[0]:.40}", where=where, fix=AGAIN)


def _refuse(rows: pd.DataFrame, wrong: pd.Series, what: str, problem: str, where: str) -> None:
    """Raise UserError if any row is wrong, naming the cell of the first."""
    if wrong.any():
        cell = rows.loc[wrong, "cell"].iloc[0]
        raise UserError(f"{what} of cell {cell!s:.40} {problem}", where=where, fix=AGAIN)
