"""What can be compared: results of a suite, a table of rows, a cell, or a document that `sgbench score` printed."""

import math
from collections.abc import Hashable, Mapping
from pathlib import Path
from typing import Any

import pandas as pd
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from sgbench.base.bounded import is_there
from sgbench.base.errors import UserError, plain
from sgbench.cells.settings import SETTINGS
from sgbench.compare.lines import WEIGHTS, Cost, Line, Score, Source
from sgbench.guidance import RULES
from sgbench.metrics.catalogue import METRICS
from sgbench.metrics.protocols import Protocol, from_record
from sgbench.report.select_rows import replicates, settings_text
from sgbench.results.find_cell import folders_of_cell
from sgbench.results.rows import read_rows
from sgbench.results.schema import succeeded
from sgbench.results.store import Store
from sgbench.results.verified_files import read_record

FIX = "give results/<suite>, a rows.csv, a cell's folder or id, or a file that `sgbench score IMAGES... --json` wrote"
# The seed is matched on its own.
MATCHED = tuple(name for name in SETTINGS if name != "seed")
MADE_BY = ("sgbench", "commit", "torch", "device", "threads")
Row = Mapping[Hashable, Any]


def open_source(name: str, results: Path) -> Source:
    """The lines of a folder of results, a table of rows, a document, a cell's folder, or a cell's id below `results`.

    Raises UserError for anything else.
    """
    path = Path(name)
    if is_there(path / "cell.json"):
        folder = path.resolve()
        return rows_source(_rows_of(folder), folder.name)._replace(where=name)
    if is_there(path) and path.is_dir():
        if not (path / "rows.csv").is_file():
            raise UserError("there is no rows.csv in this folder", where=name, fix=FIX)
        return rows_source(path / "rows.csv")._replace(where=name)
    if is_there(path) and path.is_file():
        return rows_source(path) if path.suffix in (".csv", ".parquet") else document_source(path)
    folders = folders_of_cell(name, results)
    if not folders:
        raise UserError("there is no such file, folder or cell", where=name, fix=FIX)
    # Suites may share a cell, at other numbers of images.
    scored = [folder for folder in folders if _rows_of(folder).is_file()] or folders[:1]
    if len(scored) > 1:
        suites = " and ".join(folder.parent.parent.name for folder in scored)
        what = f"the cell {name} has rows in {suites}"
        raise UserError(what, where=str(results), fix=f"give its folder: {scored[0]}")
    return rows_source(_rows_of(scored[0]), name)._replace(where=f"cell {name}")


def _rows_of(cell: Path) -> Path:
    return cell.parent.parent / "rows.csv"


def rows_source(path: Path, cell: str | None = None) -> Source:
    """The lines of a rows.csv or rows.parquet, all or those of one cell; protocols and digests from the same folder.

    Raises UserError for a file that `read_rows` refuses, and for a cell without rows.
    """
    rows = succeeded(read_rows(path))
    if cell is not None:
        rows = rows[rows["cell"] == cell].reset_index(drop=True)
        if rows.empty:
            raise UserError(f"there is no row of cell {cell}", where=str(path), fix="run `sgbench score` first")
    records = Store(path.parent.parent, path.parent.name).read_protocols()
    protocols = {key: from_record(record) for key, record in records.items()}
    lines = [_line(row, protocols, path.parent) for row in rows.to_dict("records")]
    scored = [c.removesuffix("_protocol") for c in map(str, rows.columns) if c.endswith("_protocol")]
    return Source(str(path), lines, _made_by(rows), [metric for metric in scored if metric not in METRICS])


def _line(row: Row, protocols: Mapping[str, Protocol | None], folder: Path) -> Line:
    scores = {}
    for metric in METRICS:
        if not pd.isna(row.get(metric)):
            protocol = str(row[f"{metric}_protocol"])
            parts = replicates(str(row[f"{metric}_replicates"]))
            scores[metric] = Score(
                float(row[metric]), float(row[f"{metric}_se"]), parts, protocol, protocols.get(protocol)
            )
    cost = Cost(
        gmacs=float(row["gmacs_per_image"]),
        seconds=float(row["seconds_per_image"]),
        lower_quartile=_number(row.get("seconds_q25")),
        upper_quartile=_number(row.get("seconds_q75")),
        device=str(row["device"]),
        threads=int(row["threads"]),
        batch=int(row["batch"]),
    )
    cell, samples = str(row["cell"]), int(row["samples"])
    scored = (read_record(folder / "cells" / cell / "scores.json").content or {}).get(str(samples))
    return Line(
        name=f"{row['model']}, {RULES[row['guidance']].title} ({settings_text(row)})",
        cell=cell,
        samples=samples,
        seed=int(row["seed"]),
        settings=tuple(_text(row.get(name)) for name in MATCHED),
        weights=tuple(_text(row.get(name)) for name in WEIGHTS),
        scores=scores,
        cost=cost,
        images_sha256=str(scored.get("images_sha256", "")) if isinstance(scored, dict) else "",
    )


def _number(value: Any) -> float:
    return math.nan if pd.isna(value) else float(value)


def _text(value: object) -> str:
    """A value as text whatever the type of its column: 0, 0.0 and `0.0` alike, and nothing for NaN."""
    if value is None or value != value:
        return ""
    try:
        return str(float(str(value)))
    except ValueError:
        return str(value)


def _made_by(rows: pd.DataFrame) -> str:
    """Versions and devices, each once."""
    parts = []
    for column in MADE_BY:
        length = 7 if column == "commit" else 40
        found = [str(value)[:length] for value in rows[column].dropna().unique()] if column in rows else []
        if found:
            parts.append(f"{column} {' and '.join(found[:2])}{' and others' if len(found) > 2 else ''}")
    if "dirty" in rows and rows["dirty"].astype(str).eq("True").any():
        parts.append("with changes that were not committed")
    return ", ".join(parts)


class _Strict(BaseModel):
    model_config = ConfigDict(strict=True, allow_inf_nan=False)


class _Score(_Strict):
    value: float
    standard_error: float = Field(ge=0)
    replicates: list[float] = Field(min_length=2)
    protocol_id: str
    protocol: dict[str, Any] = {}


class _Set(_Strict):
    images: str
    samples: int = Field(ge=1)
    images_sha256: str = ""
    cell: str = ""
    seed: int | None = None
    scores: dict[str, _Score]


class _Document(_Strict):
    sets: list[_Set] = Field(min_length=1)


def document_source(path: Path) -> Source:
    """A line per set of images in a document of scores. Raises UserError for a file that holds anything else."""
    where = str(path)
    try:
        document = _Document.model_validate_json(path.read_bytes())
    except OSError as error:
        raise UserError(f"it cannot be read ({error.strerror})", where=where, fix=FIX) from error
    except ValidationError as error:
        place = ".".join(str(part) for part in error.errors()[0]["loc"])
        what = f"this is not a document of scores ({f'{place}: ' if place else ''}{plain(error)})"
        raise UserError(what, where=where, fix=FIX) from error
    names = [(one.images, one.samples) for one in document.sets]
    if len(set(names)) < len(names):
        raise UserError("a set of images is listed twice", where=where, fix="score every set once")
    unknown = dict.fromkeys(metric for one in document.sets for metric in one.scores if metric not in METRICS)
    return Source(where, [_line_of_set(one) for one in document.sets], "", list(unknown))


def _line_of_set(one: _Set) -> Line:
    scores = {
        metric: Score(s.value, s.standard_error, tuple(s.replicates), s.protocol_id, from_record(s.protocol))
        for metric, s in one.scores.items()
        if metric in METRICS
    }
    name = " ".join(one.images.split())
    return Line(name, one.cell, one.samples, one.seed, (), (), scores, None, one.images_sha256)
