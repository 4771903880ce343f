"""Euler-Maruyama for the reverse-time equation of flow matching, in the form that SiT and SPRINT publish.

Both take the diffusion coefficient 2 t (SiT's form `sigma`); SPRINT keeps the state in float64. SiT's clock runs the
other way, which changes the names of times and nothing else.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Sequence

from torch import Tensor


def sample_euler_maruyama(
    velocity: Callable[[Tensor, float, int], Tensor],
    noise: Tensor,
    times: Sequence[float],
    fresh: Callable[[int], Tensor],
) -> Tensor:
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
