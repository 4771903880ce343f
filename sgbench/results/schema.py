"""Schema versions of rows: older ones are migrated, or refused with their version. No torch.

1  up to cell ids of version 1: refused, since some settings of cells were not recorded
2  every setting that cells have now
3  protocols by the digests of what they name
4  prompts and text encoder of every row, training iterations of both checkpoints, percentiles of LPIPS
5  rows of cells that failed, which have the reason in `failed` and neither cost nor scores
6  parameters of rules as JSON; where EDM's sampler churns, and how
7  guidance by segments of sampling; whose code it is that does not come with sgbench
"""

import json
import re
from collections.abc import Callable

import pandas as pd

from sgbench.base.errors import UserError
from sgbench.cells.settings import NEUTRAL
from sgbench.guidance import RULES

SCHEMA_VERSION = 7
OLDEST = 2
# Columns that a report requires; those of scores depend on the suite.
REQUIRED = ("cell", "model", "guidance", "gamma_strong", "gamma_weak", "sampler", "scale", "steps", "seed", "samples")
# The same of cells that did not fail.
MEASURED = ("device", "gmacs_per_image", "seconds_per_image", "batch", "threads")
WHOLE = ("batch", "threads", "other_devices")
# Columns of text in which nothing is an empty text.
EMPTY = ("prompts", "failed", "parameters", "segments", "own")
AGAIN = "run `sgbench score` again, which writes the rows anew from the cells"


def migrate(rows: pd.DataFrame, where: str) -> pd.DataFrame:
    """Rows of any version that can be read, as rows of this one.

    Raises UserError for rows of other versions, and for a table without the columns of rows.
    """
    versions = _versions(rows, where)
    if not versions:
        raise UserError("there are no rows", where=where, fix=AGAIN)
    for version in versions:
        if version < OLDEST:
            raise UserError(f"the rows use schema version {version}, which is no longer read", where=where, fix=AGAIN)
        if version > SCHEMA_VERSION:
            what = f"the rows use schema version {version}, and this version of sgbench reads up to {SCHEMA_VERSION}"
            raise UserError(what, where=where, fix="use the version of sgbench that wrote them, or a newer one")
    for version in range(versions[0], SCHEMA_VERSION):
        rows = STEPS[version](rows)
    # An empty text is nothing at all in a csv file.
    texts = {name: rows[name].astype(object).fillna("") for name in EMPTY if name in rows}
    rows = rows.assign(schema=SCHEMA_VERSION, **texts)
    _require(rows, EMPTY + REQUIRED, where)
    measured = rows[rows["failed"] == ""]
    if not measured.empty:
        _require(measured, MEASURED, where)
    for rule in rows["guidance"].unique():
        if rule not in RULES:
            raise UserError(f"there is no guidance rule {rule!r} in this version", where=where, fix=AGAIN)
    return rows


def succeeded(rows: pd.DataFrame) -> pd.DataFrame:
    """The rows of cells that did not fail, with whole numbers as integers: pandas makes columns with gaps float."""
    found = rows[rows["failed"] == ""].drop(columns="failed").reset_index(drop=True)
    return found.astype({name: int for name in WHOLE if name in found and found[name].notna().all()})


def _versions(rows: pd.DataFrame, where: str) -> list[int]:
    if "schema" not in rows:
        what = "this is not a rows file: column `schema` is missing"
        raise UserError(what, where=where, fix="give a rows.csv of sgbench")
    numbers = pd.to_numeric(rows["schema"], errors="coerce")
    if numbers.isna().any() or (numbers % 1 != 0).any():
        raise UserError("the `schema` of a row is not a whole number", where=where, fix=AGAIN)
    return sorted({int(n) for n in numbers})


def _from_2(rows: pd.DataFrame) -> pd.DataFrame:
    # Protocols were named otherwise; whoever looks them up finds that, and says so.
    return rows


def _from_3(rows: pd.DataFrame) -> pd.DataFrame:
    """Text came with prompts in some rows of version 3, and was absent from suites without any."""
    rows = rows if "prompts" in rows else rows.assign(prompts="")
    unknown = ("text_encoder_sha256", "iterations", "auxiliary_iterations")
    return rows.assign(**{name: float("nan") for name in unknown if name not in rows})


def _from_4(rows: pd.DataFrame) -> pd.DataFrame:
    """Cells that failed had no row; a table of mixed versions has the column already."""
    return rows if "failed" in rows else rows.assign(failed="")


def _from_5(rows: pd.DataFrame) -> pd.DataFrame:
    """Parameters were `name=value` with blanks between; where churn acts was in no row."""
    churns = rows.get("churn", pd.Series(0.0, rows.index)) != 0
    found = {}
    # A table of mixed versions has the columns, with gaps.
    for name in ("churn_min", "churn_max", "churn_noise"):
        neutral = pd.Series(float(NEUTRAL[name]), rows.index).mask(churns)
        found[name] = rows.get(name, neutral).fillna(neutral)
    return rows.assign(parameters=rows.get("parameters", pd.Series("", rows.index)).map(_parameters_json), **found)


def _from_6(rows: pd.DataFrame) -> pd.DataFrame:
    """One rule guided all of sampling, and all rules came with sgbench."""
    return rows.assign(**{name: "" for name in ("segments", "own") if name not in rows})


def _parameters_json(text: object) -> str:
    if not isinstance(text, str) or not text:
        return ""
    if text.startswith("{"):
        return text
    kinds = {parameter.name: parameter.text for rule in RULES.values() for parameter in rule.parameters}
    names = "|".join(re.escape(name) for name in kinds)
    # Values hold blanks, too: each ends where the next name begins.
    found = re.findall(rf"(?:^| )({names})=(.*?)(?= (?:{names})=|$)", text)
    return json.dumps({name: value if kinds[name] or value == "inf" else float(value) for name, value in found})


STEPS: dict[int, Callable[[pd.DataFrame], pd.DataFrame]] = {2: _from_2, 3: _from_3, 4: _from_4, 5: _from_5, 6: _from_6}


def _require(rows: pd.DataFrame, columns: tuple[str, ...], where: str) -> None:
    for column in columns:
        if column not in rows:
            raise UserError(f"the rows have no column {column}", where=where, fix=AGAIN)
        if rows[column].isna().any():
            raise UserError(f"a row has no {column}", where=where, fix=AGAIN)
