"""From a sampler's settings to its function: which schedule it walks and what else it is given."""

from __future__ import annotations

from collections.abc import Callable

from torch import Tensor

from sgbench.sampling.cfg_plus_plus import Pair, sample_ddim_plus_plus, sample_euler_plus_plus
from sgbench.sampling.clocks import churned_levels, flow_times, kept_timesteps, noise_levels, stochastic_times
from sgbench.sampling.ddim import sample_ddim
from sgbench.sampling.ddpm import sample_ddpm
from sgbench.sampling.edm_heun import sample_edm_heun
from sgbench.sampling.euler import sample_euler
from sgbench.sampling.euler_maruyama import sample_euler_maruyama
from sgbench.sampling.heun import sample_heun
from sgbench.suite.cell import Sampler

Prediction = Callable[[Tensor, float, int], Tensor]
Fresh = Callable[[int], Tensor]


def solve(sampler: Sampler, prediction: Prediction, noise: Tensor, fresh: Fresh) -> Tensor:
    """Final state of a run from unit `noise` (B, C, H, W); `fresh(step)` is unit noise for stochastic samplers."""
    steps = sampler.steps
    if sampler.name == "euler":
        return sample_euler(prediction, noise, flow_times(steps, sampler.shift))
    if sampler.name == "heun":
        return sample_heun(prediction, noise, flow_times(steps, sampler.shift))
    if sampler.name == "euler-maruyama":
        return sample_euler_maruyama(prediction, noise, stochastic_times(steps, sampler.shift), fresh)
    if sampler.name == "edm-heun":
        levels = noise_levels(steps)
        raised = churned_levels(levels, sampler)
        return sample_edm_heun(prediction, noise, levels, raised, lambda step: sampler.churn_noise * fresh(step))
    if sampler.name == "ddim":
        return sample_ddim(prediction, noise, kept_timesteps(steps))
    assert sampler.name == "ddpm"
    return sample_ddpm(prediction, noise, kept_timesteps(steps), fresh)


def solve_plus_plus(sampler: Sampler, pair: Pair, noise: Tensor) -> Tensor:
    """The same by CFG++'s updates, which only Euler and DDIM have."""
    if sampler.name == "euler":
        return sample_euler_plus_plus(pair, noise, flow_times(sampler.steps, sampler.shift))
    assert sampler.name == "ddim"
    return sample_ddim_plus_plus(pair, noise, kept_timesteps(sampler.steps))
