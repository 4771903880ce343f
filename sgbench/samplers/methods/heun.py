"""Heun's method for the probability-flow equation of flow matching; its last step is Euler's."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from typing import TYPE_CHECKING

from sgbench.samplers.clocks import at_both_ends, sampler_times
from sgbench.samplers.settings import Prediction, SamplerKind

if TYPE_CHECKING:
    from torch import Tensor


def sample_heun(velocity: Prediction, noise: Tensor, times: Sequence[float]) -> Tensor:
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


SAMPLER = SamplerKind(
    name="heun",
    title="Heun on the flow-matching clock",
    source="arXiv 2209.03003",
    works=("liu2023rectified",),
    rank=10,
    clock="flow",
    takes=("shift",),
    moments=lambda sampler: at_both_ends(sampler_times(sampler)),
    solve=lambda sampler, velocity, noise, fresh: sample_heun(velocity, noise, sampler_times(sampler)),
)
