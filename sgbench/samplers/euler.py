"""Euler's method for the probability-flow equation of flow matching, t from 1 (noise) to 0 (data)."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Sequence

from torch import Tensor


def sample_euler(velocity: Callable[[Tensor, float, int], Tensor], noise: Tensor, times: Sequence[float]) -> Tensor:
    """Integrate dx/dt = v(x, t) over the falling `times`; `velocity(x, t, step)` has the shape of `noise`.

    The state keeps the dtype of `noise`, or that of the velocity where it is wider.
    """
    x = noise
    for step, (now, following) in enumerate(itertools.pairwise(times)):
        x = x + (following - now) * velocity(x, now, step)
    return x
