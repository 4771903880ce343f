"""How often the embedded classifier sees the class that was asked for."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from sgbench.stats.jackknife import Estimate, group_bounds, jackknife


def label_agreement(classes: NDArray[np.int64], labels: NDArray[np.int64]) -> Estimate:
    """Share of equal entries of two (N,) arrays in sample order, with its error over groups."""
    agree = (classes == labels).astype(np.float64)
    total, count = agree.sum(), len(agree)
    bounds = group_bounds(count)
    return jackknife(
        float(total / count),
        [float((total - agree[start:stop].sum()) / (count - (stop - start))) for start, stop in bounds],
    )
