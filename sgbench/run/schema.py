"""Versions of the rows: what is read of older ones, and what is refused by name. No torch.

1  up to cell ids of version 1: refused, since a cell's settings were not all told
2  every setting that cells have now
3  protocols by the digests of what they name
4  prompts and text encoder of every row, training iterations of both checkpoints, percentiles of LPIPS
"""

from __future__ import annotations

from collections.abc import Callable

import pandas as pd

from sgbench.errors import UserError
from sgbench.guidance import RULES

SCHEMA_VERSION = 4
OLDEST = 2
# What a report cannot do without; scores and their kin depend on the suite.
TEXTS = ("cell", "model", "guidance", "sampler", "device")
NUMBERS = ("scale", "steps", "seed", "samples", "gmacs_per_image", "seconds_per_image", "batch", "threads")
AGAIN = "run `sgbench score` again, which writes them anew from the cells"


def migrate(rows: pd.DataFrame, where: str) -> pd.DataFrame:
    """Rows of any version that can be read, as rows of this one.

    Raises UserError for rows of other versions, and for what is no table of rows.
    """
    versions = _versions(rows, where)
    if not versions:
        raise UserError("there are no rows", where=where, fix=AGAIN)
    for version in versions:
        if version < OLDEST:
            raise UserError(f"the rows are of schema {version}, which is no longer read", where=where, fix=AGAIN)
        if version > SCHEMA_VERSION:
            raise UserError(
                f"the rows are of schema {version}, and this version reads up to {SCHEMA_VERSION}",
                where=where,
                fix="use the version of sgbench that wrote them, or a newer one",
            )
    for version in range(versions[0], SCHEMA_VERSION):
        rows = STEPS[version](rows)
    # An empty text is nothing at all in a csv file.
    return _checked(rows.assign(schema=SCHEMA_VERSION, prompts=rows["prompts"].astype(object).fillna("")), where)


def _versions(rows: pd.DataFrame, where: str) -> list[int]:
    if "schema" not in rows:
        raise UserError("these are no rows: there is no column schema", where=where, fix="give a rows.csv of sgbench")
    numbers = pd.to_numeric(rows["schema"], errors="coerce")
    if numbers.isna().any() or (numbers % 1 != 0).any():
        raise UserError("a row's schema is no number", where=where, fix=AGAIN)
    return sorted({int(n) for n in numbers})


def _from_2(rows: pd.DataFrame) -> pd.DataFrame:
    # Protocols were named otherwise; whoever looks them up finds that, and says so.
    return rows


def _from_3(rows: pd.DataFrame) -> pd.DataFrame:
    """Text came with prompts in some rows of version 3, and was absent from suites without any."""
    nothing = pd.Series(float("nan"), rows.index)
    return rows.assign(
        prompts=rows.get("prompts", pd.Series("", rows.index)),
        text_encoder_sha256=rows.get("text_encoder_sha256", nothing),
        iterations=rows.get("iterations", nothing),
        auxiliary_iterations=rows.get("auxiliary_iterations", nothing),
    )


STEPS: dict[int, Callable[[pd.DataFrame], pd.DataFrame]] = {2: _from_2, 3: _from_3}


def _checked(rows: pd.DataFrame, where: str) -> pd.DataFrame:
    for column in (*TEXTS, *NUMBERS):
        if column not in rows:
            raise UserError(f"the rows have no column {column}", where=where, fix=AGAIN)
        if rows[column].isna().any():
            raise UserError(f"a row has no {column}", where=where, fix=AGAIN)
    for column in NUMBERS:
        if pd.to_numeric(rows[column], errors="coerce").isna().any():
            raise UserError(f"a row's {column} is no number", where=where, fix=AGAIN)
    for rule in rows["guidance"].unique():
        if rule not in RULES:
            raise UserError(f"there is no guidance rule {rule!r} in this version", where=where, fix=AGAIN)
    return rows
