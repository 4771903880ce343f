"""How many cells a sweep asks for, before any is made: a slip in a list must not fill the memory."""

from __future__ import annotations

import math
from typing import Final

from sgbench.base.errors import UserError
from sgbench.suite.schema import Suite

MOST_CELLS: Final = 1_000_000


def check_size(suite: Suite) -> None:
    """Raises UserError, naming the entry that crosses the limit, for more than MOST_CELLS combinations."""
    asked = 0
    for number, entry in enumerate(suite.sweep):
        listed = [len(value) for _, value in entry if isinstance(value, list)]
        asked += math.prod(listed) * (1 if entry.model else len(suite.model))
        if asked > MOST_CELLS:
            raise UserError(
                f"with this entry the sweep asks for {asked:,} cells, and {MOST_CELLS:,} are the most",
                where=f"{suite.where}: sweep[{number}]",
                fix="shorten its lists, or split the suite",
            )
