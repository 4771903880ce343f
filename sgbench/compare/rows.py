"""Lines of a suite's rows."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pandas as pd

from sgbench.base.errors import UserError
from sgbench.cells.settings import SETTINGS
from sgbench.compare.lines import Cost, Line, Score, Source
from sgbench.guidance import RULES
from sgbench.metrics.catalogue import METRICS
from sgbench.metrics.protocols import Protocol, from_record
from sgbench.report.select_rows import replicates, settings_text
from sgbench.results.rows_file import read_rows
from sgbench.results.schema import succeeded
from sgbench.results.store import Store

# The seed is matched on its own.
MATCHED = tuple(name for name in SETTINGS if name != "seed")
WEIGHTS = {
    "checkpoint_sha256": "checkpoint",
    "auxiliary_sha256": "weak checkpoint",
    "autoencoder_sha256": "autoencoder",
    "text_encoder_sha256": "text encoder",
}
MADE_BY = {"sgbench": "sgbench", "commit": "commit", "torch": "torch", "device": "device", "threads": "threads"}
MENDING = "run `sgbench score` again, which writes the rows anew from the cells"


def rows_source(path: Path, cell: str | None = None) -> Source:
    """The lines of a rows.csv or rows.parquet, all or those of one cell, with protocols and digests from beside it.

    Raises UserError for what is no table of rows, for numbers that are none, and for a cell without rows.
    """
    where = str(path)
    rows = succeeded(read_rows(path))
    if cell is not None:
        rows = rows[rows["cell"] == cell].reset_index(drop=True)
        if rows.empty:
            raise UserError(f"there is no row of cell {cell}", where=where, fix="run `sgbench score` first")
    twice = rows.duplicated(["cell", "samples"])
    if twice.any():
        raise UserError(f"cell {rows.loc[twice, 'cell'].iloc[0]} has two rows", where=where, fix=MENDING)
    records = Store(path.parent.parent, path.parent.name).read_protocols()
    protocols = {key: from_record(record) for key, record in records.items()}
    scores = {metric: _scores(rows, metric, protocols, where) for metric in METRICS if metric in rows}
    costs = _costs(rows, where)
    settings = _texts(rows, MATCHED)
    weights = _texts(rows, tuple(WEIGHTS))
    lines = [
        Line(
            f"{row['model']}, {RULES[row['guidance']].title} ({settings_text(row)})",
            str(row["cell"]),
            int(row["samples"]),
            int(row["seed"]),
            settings[index],
            weights[index],
            {metric: score for metric, column in scores.items() if (score := column[index]) is not None},
            costs[index],
            _images_sha256(path.parent, str(row["cell"]), int(row["samples"])),
        )
        for index, (_, row) in enumerate(rows.iterrows())
    ]
    others = [c.removesuffix("_protocol") for c in map(str, rows.columns) if c.endswith("_protocol")]
    return Source(where, lines, _made_by(rows), [metric for metric in others if metric not in METRICS])


def _scores(rows: pd.DataFrame, metric: str, protocols: dict[str, Protocol | None], where: str) -> list[Score | None]:
    """A metric's column; None where a row has no value."""
    values, errors = _numbers(rows, metric, where), _numbers(rows, f"{metric}_se", where)
    nothing = pd.Series(np.nan, rows.index, dtype=object)
    texts, ids = rows.get(f"{metric}_replicates", nothing), rows.get(f"{metric}_protocol", nothing)
    found: list[Score | None] = []
    for value, error, text, name, cell in zip(values, errors, texts, ids, rows["cell"], strict=True):
        if value != value:
            found.append(None)
            continue
        try:
            numbers = replicates(text) if isinstance(text, str) else ()
        except ValueError:
            numbers = ()
        if len(numbers) < 2 or not np.isfinite([error, *numbers]).all() or not isinstance(name, str):
            raise UserError(f"{metric} of cell {cell} has no error, replicates or protocol", where=where, fix=MENDING)
        found.append(Score(value, error, numbers, name, protocols.get(name)))
    return found


def _costs(rows: pd.DataFrame, where: str) -> list[Cost]:
    columns = ("gmacs_per_image", "seconds_per_image", "seconds_q25", "seconds_q75")
    numbers = [_numbers(rows, column, where) for column in columns]
    taken = zip(rows["device"], rows["threads"], rows["batch"], strict=True)
    return [
        Cost(gmacs, seconds, lower, upper, str(device), int(threads), int(batch))
        for gmacs, seconds, lower, upper, (device, threads, batch) in zip(*numbers, taken, strict=True)
    ]


def _numbers(rows: pd.DataFrame, column: str, where: str) -> list[float]:
    """A column as numbers, NaN where there is none. Raises UserError for anything else, and for infinities."""
    if column not in rows:
        return [float("nan")] * len(rows)
    numbers = pd.to_numeric(rows[column], errors="coerce").astype(float)
    wrong = (numbers.isna() & rows[column].notna()) | np.isinf(numbers)
    if wrong.any():
        raise UserError(
            f"{column} of cell {rows.loc[wrong, 'cell'].iloc[0]} is no number: {rows.loc[wrong, column].iloc[0]}",
            where=where,
            fix=MENDING,
        )
    return numbers.tolist()


def _texts(rows: pd.DataFrame, names: tuple[str, ...]) -> list[tuple[str, ...]]:
    """Some columns, row by row, as texts that do not depend on how a table types its columns."""
    absent = [""] * len(rows)
    return list(zip(*([_text(v) for v in rows[n]] if n in rows else absent for n in names), strict=True))


def _text(value: object) -> str:
    """0, 0.0 and `0.0` alike, and nothing for NaN: a column with a schedule in it is text throughout."""
    if value is None or value != value:
        return ""
    try:
        return str(float(str(value)))
    except ValueError:
        return str(value)


def _images_sha256(folder: Path, cell: str, samples: int) -> str:
    """The digest of the images that were scored; empty where the cell's scores are not beside the rows."""
    try:
        scores = json.loads((folder / "cells" / cell / "scores.json").read_bytes())
        return str(scores[str(samples)]["images_sha256"])
    except (OSError, ValueError, KeyError, TypeError, RecursionError):
        return ""


def _made_by(rows: pd.DataFrame) -> str:
    """Versions and devices, each once."""
    parts = []
    for column, name in MADE_BY.items():
        found = [str(value)[:40] for value in rows.get(column, pd.Series(dtype=object)).dropna().unique()]
        if column == "commit":
            found = [value[:7] for value in found]
        if found:
            parts.append(f"{name} {' and '.join(found[:2])}{' and others' if len(found) > 2 else ''}")
    if rows.get("dirty", pd.Series(dtype=object)).astype(str).eq("True").any():
        parts.append("with changes that were not committed")
    return ", ".join(parts)
