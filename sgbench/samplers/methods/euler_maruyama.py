"""Euler-Maruyama for the reverse-time equation of flow matching, in the form that SiT and SPRINT publish.

Both take the diffusion coefficient 2 t (SiT's form `sigma`); SPRINT keeps the state in float64. SiT's clock runs the
other way, which changes the names of times and nothing else.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence
from typing import TYPE_CHECKING

from sgbench.samplers.clocks import at_starts, shifted
from sgbench.samplers.settings import Fresh, Prediction, SamplerKind

if TYPE_CHECKING:
    from torch import Tensor

LAST_STEP = 0.04


def stochastic_times(steps: int, shift: float = 1.0) -> list[float]:
    """steps times from 1 to 0.04, uniform, then 0: the last step is one of 0.04 without noise, as in SiT and SPRINT."""
    spacing = (1 - LAST_STEP) / (steps - 1) if steps > 1 else 0.0
    return [shifted(1 - step * spacing, shift) for step in range(steps)] + [0.0]


def sample_euler_maruyama(velocity: Prediction, noise: Tensor, times: Sequence[float], fresh: Fresh) -> Tensor:
    """Integrate dx = (v - t score) dt + sqrt(2 t) dw over the falling `times`; no noise in the last step.

    With x = (1 - t) image + t noise and v = E[noise - image | x], the score is -(x + (1 - t) v) / t (arXiv 2401.08740,
    eq. 9), so t score is minus the expected noise. `fresh(step)` is unit noise in the shape of `noise`.
    """
    x, last = noise, len(times) - 2
    for step, (now, following) in enumerate(itertools.pairwise(times)):
        v = velocity(x, now, step)
        drift = v + (x + (1 - now) * v)
        x = x + (following - now) * drift
        if step < last:
            x = x + math.sqrt(2 * now * (now - following)) * fresh(step)
    return x


SAMPLER = SamplerKind(
    name="euler-maruyama",
    title="Euler-Maruyama, diffusion 2 t, last step without noise",
    source="SiT, arXiv 2401.08740, and SPRINT",
    works=("ma2024sit", "park2025sprint"),
    rank=20,
    clock="flow",
    takes=("shift",),
    moments=lambda sampler: at_starts(stochastic_times(sampler.steps, sampler.shift)),
    solve=lambda sampler, velocity, noise, fresh: sample_euler_maruyama(
        velocity, noise, stochastic_times(sampler.steps, sampler.shift), fresh
    ),
)
