"""CFG++'s own updates: the image from the guided prediction, the noise put back from the unconditional one.

Chung et al., arXiv 2406.08070. `pair(x, level, step)` gives (guided, unconditional), the same tensor twice where there
is no guidance; then the updates are Euler's and DDIM's.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Sequence

from torch import Tensor

from sgbench.samplers.discrete import image_of, signal_levels

Pair = Callable[[Tensor, float, int], tuple[Tensor, Tensor]]


def sample_euler_plus_plus(pair: Pair, noise: Tensor, times: Sequence[float]) -> Tensor:
    """x' = (1 - t') (x - t v_guided) + t' (x + (1 - t) v_null) over the falling `times`; velocities noise - image."""
    x = noise
    for step, (now, following) in enumerate(itertools.pairwise(times)):
        guided, null = pair(x, now, step)
        x = (1 - following) * (x - now * guided) + following * (x + (1 - now) * null)
    return x


def sample_ddim_plus_plus(pair: Pair, noise: Tensor, timesteps: Sequence[int]) -> Tensor:
    """DDIM whose image comes from the guided noise and whose noise is the unconditional one; `timesteps` ascend."""
    levels = signal_levels(timesteps).tolist()
    x = noise
    for step, index in enumerate(reversed(range(len(timesteps)))):
        level, before = levels[index], levels[index - 1] if index else 1.0
        guided, null = pair(x, timesteps[index], step)
        x = before**0.5 * image_of(x, guided, level) + (1 - before) ** 0.5 * null
    return x
