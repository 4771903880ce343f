"""Sentences about what a suite asked for and its rows lack."""

from collections.abc import Sequence

import pandas as pd

from sgbench.cells.cell import Cell
from sgbench.metrics.catalogue import METRICS
from sgbench.suite.schema import Suite

# Seconds and joules can be compared if these are equal.
CLOCK = ("device", "threads", "batch")
NAMED = 3


def some(names: Sequence[str], separator: str = "; ") -> str:
    """The first few names, and how many more there are."""
    more = [f"and {len(names) - NAMED} more"] if len(names) > NAMED else []
    return separator.join([*names[:NAMED], *more])


def failed_cells(wanted: dict[str, Cell], failed: dict[str, str]) -> list[str]:
    """A sentence on the cells that failed; `failed` maps their ids to reasons."""
    named = [f"{wanted[name].describe()} ({reason})" for name, reason in failed.items()]
    head = f"{len(failed)} of {len(wanted)} cells failed and are not in this report"
    return [f"{head}: {some(named)}. `sgbench run` tries them again."] if failed else []


def absent_cells(suite: Suite, wanted: dict[str, Cell], there: set[str]) -> list[str]:
    """A sentence on the cells without a row, of those that did not fail."""
    named = [cell.describe() for key, cell in wanted.items() if key not in there]
    head = f"{len(named)} of {len(wanted)} cells have no scores at {suite.samples:,} images and are not in this report"
    return [f"{head}: {some(named)}. `sgbench run` and `sgbench score` complete them."] if named else []


def costs_apart(rows: pd.DataFrame) -> list[str]:
    """Why seconds, or joules that some rows have, cannot be compared."""
    said = []
    for column in CLOCK:
        ways = [str(way) for way in dict.fromkeys(rows[column])]
        if len(ways) > 1:
            shown = ", ".join([*ways[:NAMED], *(["..."] if len(ways) > NAMED else [])])
            said.append(
                f"Seconds are not compared: {column} differs between cells ({shown}). `sgbench time` measures all of "
                "them again on one machine."
            )
            break
    metered = rows["joules_per_image"].notna() if "joules_per_image" in rows else pd.Series(False, rows.index)
    if metered.any() and not metered.all():
        said.append(f"Joules are not compared: {(~metered).sum()} of {len(rows)} cells have none.")
    return said


def absent_scores(suite: Suite, cells: dict[str, Cell], rows: pd.DataFrame) -> list[str]:
    """A sentence for each metric that some cells do not have; unguided ones have no LPIPS to themselves."""
    said = []
    for metric in suite.metrics:
        present = rows[metric].notna() if metric in rows else pd.Series(False, rows.index)
        lacking = [cells[str(name)] for name in rows.loc[~present, "cell"]]
        named = [cell.describe() for cell in lacking if metric != "lpips" or cell != cell.unguided()]
        if named:
            said.append(
                f"{len(named)} of {len(rows)} cells have no score of {METRICS[metric].title}: {some(named)}. "
                "`sgbench score` adds what is missing."
            )
    return said
