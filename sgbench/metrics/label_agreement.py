"""How often the embedded classifier sees the class that was asked for."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from sgbench.stats.jackknife import Estimate
from sgbench.stats.means import mean_estimate


def label_agreement(classes: NDArray[np.integer], labels: NDArray[np.integer]) -> Estimate:
    """Share of equal entries of two (N,) arrays in sample order, with its binomial error."""
    return mean_estimate((classes == labels).astype(np.float64))
