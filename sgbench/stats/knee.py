"""The knee of a frontier: where more compute begins to buy less."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from sgbench.stats.frontier import frontier

ROUNDING = 1e-9


def knee(costs: Sequence[float], values: Sequence[float]) -> int | None:
    """Index of the frontier point farthest below the chord between the frontier's ends; value is better when lower.

    Both axes are scaled to the unit square first, so units do not matter (Satopaa et al. 2011, "Finding a 'Kneedle' in
    a Haystack", without its smoothing, which a frontier does not need). None with fewer than three frontier points and
    where none lies below the chord. The cheapest one of equals. No NaN.
    """
    kept = frontier(costs, values)
    if len(kept) < 3:
        return None
    cost, value = np.array(costs)[kept], np.array(values)[kept]
    along = (cost - cost[0]) / (cost[-1] - cost[0])
    down = (value[0] - value) / (value[0] - value[-1])
    # Times the square root of two, the distance to the chord from the upper left corner to the lower right one.
    below = down - along
    best = int(below.argmax())
    return kept[best] if below[best] > ROUNDING else None
