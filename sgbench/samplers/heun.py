"""Heun's method for the probability-flow equation of flow matching; its last step is Euler's."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Sequence

from torch import Tensor


def sample_heun(velocity: Callable[[Tensor, float, int], Tensor], noise: Tensor, times: Sequence[float]) -> Tensor:
    """Integrate dx/dt = v(x, t) over the falling `times`; evaluations are counted from 0, two a step but the last."""
    x, last = noise, len(times) - 2
    for step, (now, following) in enumerate(itertools.pairwise(times)):
        slope = velocity(x, now, 2 * step)
        ahead = x + (following - now) * slope
        if step < last:
            slope = (slope + velocity(ahead, following, 2 * step + 1)) / 2
            ahead = x + (following - now) * slope
        x = ahead
    return x
