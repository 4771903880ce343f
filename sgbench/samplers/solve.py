"""From a sampler's settings to its function: which schedule it walks and what else it is given."""

from __future__ import annotations

from collections.abc import Callable
from typing import assert_never

from torch import Tensor

from sgbench.samplers.cfg_plus_plus import Pair, sample_ddim_plus_plus, sample_euler_plus_plus
from sgbench.samplers.clocks import churned_levels, flow_times, kept_timesteps, noise_levels, stochastic_times
from sgbench.samplers.ddim import sample_ddim
from sgbench.samplers.ddpm import sample_ddpm
from sgbench.samplers.edm_heun import sample_edm_heun
from sgbench.samplers.euler import sample_euler
from sgbench.samplers.euler_maruyama import sample_euler_maruyama
from sgbench.samplers.heun import sample_heun
from sgbench.samplers.settings import Sampler

Prediction = Callable[[Tensor, float, int], Tensor]
Fresh = Callable[[int], Tensor]


def solve(sampler: Sampler, prediction: Prediction, noise: Tensor, fresh: Fresh) -> Tensor:
    """Final state of a run from unit `noise` (B, C, H, W); `fresh(step)` is unit noise for stochastic samplers."""
    steps = sampler.steps
    match sampler.name:
        case "euler":
            return sample_euler(prediction, noise, flow_times(steps, sampler.shift))
        case "heun":
            return sample_heun(prediction, noise, flow_times(steps, sampler.shift))
        case "euler-maruyama":
            return sample_euler_maruyama(prediction, noise, stochastic_times(steps, sampler.shift), fresh)
        case "edm-heun":
            levels = noise_levels(steps)
            raised = churned_levels(levels, sampler)
            return sample_edm_heun(prediction, noise, levels, raised, lambda step: sampler.churn_noise * fresh(step))
        case "ddim":
            return sample_ddim(prediction, noise, kept_timesteps(steps))
        case "ddpm":
            return sample_ddpm(prediction, noise, kept_timesteps(steps), fresh)
        case _:
            assert_never(sampler.name)


def solve_plus_plus(sampler: Sampler, pair: Pair, noise: Tensor) -> Tensor:
    """The same by CFG++'s updates, which only Euler and DDIM have."""
    if sampler.name == "euler":
        return sample_euler_plus_plus(pair, noise, flow_times(sampler.steps, sampler.shift))
    assert sampler.name == "ddim"
    return sample_ddim_plus_plus(pair, noise, kept_timesteps(sampler.steps))
