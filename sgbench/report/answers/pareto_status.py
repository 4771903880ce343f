"""Where every cell stands: on the frontier of its model and rule, off it within noise, or beaten beyond noise."""

from __future__ import annotations

import pandas as pd

from sgbench.report.select_rows import Axis, points, rated
from sgbench.stats.frontier import Standing, standings


def standings_of(rows: pd.DataFrame, axis: Axis = "gmacs_per_image") -> dict[str, Standing]:
    """Each cell's standing among the cells of its own model and rule; cells without a quality have none."""
    found: dict[str, Standing] = {}
    known = rated(rows)
    for _, own in known[known[axis].notna()].groupby(["model", "guidance"], sort=False):
        found |= zip(own["cell"], standings(points(own, axis)), strict=True)
    return found
