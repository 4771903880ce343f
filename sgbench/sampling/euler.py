"""Euler's method for the probability-flow equation of flow matching, t from 1 (noise) to 0 (data)."""

from __future__ import annotations

from collections.abc import Callable

from torch import Tensor


def sample_euler(velocity: Callable[[Tensor, float, int], Tensor], noise: Tensor, steps: int) -> Tensor:
    """Integrate dx/dt = v(x, t) over `steps` uniform steps; `velocity(x, t, step)` has the shape of `noise`."""
    x = noise
    for step in range(steps):
        now, following = 1 - step / steps, 1 - (step + 1) / steps
        x = x + (following - now) * velocity(x, now, step)
    return x
