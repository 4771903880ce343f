"""Euler's method for the probability-flow equation of flow matching, t from 1 (noise) to 0 (data)."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from typing import TYPE_CHECKING

from sgbench.samplers.clocks import at_starts, sampler_times
from sgbench.samplers.settings import Pair, Prediction, SamplerKind

if TYPE_CHECKING:
    from torch import Tensor


def sample_euler(velocity: Prediction, noise: Tensor, times: Sequence[float]) -> Tensor:
    """Integrate dx/dt = v(x, t) over the falling `times`; `velocity(x, t, step)` has the shape of `noise`.

    The state keeps the dtype of `noise`, or that of the velocity where it is wider.
    """
    x = noise
    for step, (now, following) in enumerate(itertools.pairwise(times)):
        x = x + (following - now) * velocity(x, now, step)
    return x


def sample_euler_plus_plus(pair: Pair, noise: Tensor, times: Sequence[float]) -> Tensor:
    """CFG++ (Chung et al., arXiv 2406.08070): the image from the guided, the noise from the unconditional velocity.

    x' = (1 - t') (x - t v_guided) + t' (x + (1 - t) v_null) over the falling `times`; Euler where both are the same.
    """
    x = noise
    for step, (now, following) in enumerate(itertools.pairwise(times)):
        guided, null = pair(x, now, step)
        x = (1 - following) * (x - now * guided) + following * (x + (1 - now) * null)
    return x


SAMPLER = SamplerKind(
    name="euler",
    title="Euler on the flow-matching clock",
    source="arXiv 2209.03003",
    works=("liu2023rectified",),
    rank=0,
    clock="flow",
    takes=("shift",),
    moments=lambda sampler: at_starts(sampler_times(sampler)),
    solve=lambda sampler, velocity, noise, fresh: sample_euler(velocity, noise, sampler_times(sampler)),
    solve_plus_plus=lambda sampler, pair, noise: sample_euler_plus_plus(pair, noise, sampler_times(sampler)),
)
