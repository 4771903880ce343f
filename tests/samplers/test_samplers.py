"""The samplers on a one-dimensional Gaussian, where the exact prediction and the exact end are known."""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from sgbench.cells.cell import Cell
from sgbench.conformance.samplers import evaluates_as_declared, runs_from_noise_to_image, settings_of
from sgbench.guidance import RULES
from sgbench.guidance.settings import Guidance
from sgbench.samplers.catalogue import SAMPLERS, moments
from sgbench.samplers.clocks import flow_times, kept_timesteps, signal_levels
from sgbench.samplers.methods.ddim import sample_ddim
from sgbench.samplers.methods.edm_heun import noise_levels, sample_edm_heun
from sgbench.samplers.methods.euler import sample_euler
from sgbench.samplers.settings import Sampler as Settings
from sgbench.sampling.engine import group_size, sample
from sgbench.sampling.networks import load_networks

# The data: N(MEAN, DEVIATION^2).
MEAN, DEVIATION = 0.7, 0.5
NOISE = torch.linspace(-2.5, 2.5, 21, dtype=torch.float64)


def velocity(x: Tensor, t: float, step: int) -> Tensor:
    """E[noise - image | x] at x = (1 - t) image + t noise."""
    spread = (1 - t) ** 2 * DEVIATION**2 + t**2
    return -MEAN + (t - (1 - t) * DEVIATION**2) / spread * (x - (1 - t) * MEAN)


def denoised(x: Tensor, sigma: float, evaluation: int) -> Tensor:
    """E[image | x] at x = image + sigma noise."""
    return MEAN + DEVIATION**2 / (DEVIATION**2 + sigma**2) * (x - MEAN)


def noise_of(x: Tensor, timestep: int, step: int) -> Tensor:
    """E[noise | x] at x = sqrt(level) image + sqrt(1 - level) noise."""
    level = float(signal_levels([timestep])[0])
    return math.sqrt(1 - level) / (level * DEVIATION**2 + 1 - level) * (x - math.sqrt(level) * MEAN)


def euler_error(steps: int) -> float:
    """At t = 1 the state is noise alone, and the flow keeps its quantiles."""
    return float((sample_euler(velocity, NOISE, flow_times(steps)) - (MEAN + DEVIATION * NOISE)).abs().max())


def edm_error(steps: int) -> float:
    """Against the exact flow down to the last level above 0, and the exact denoised image there."""
    quantile = (80 * NOISE - MEAN) / math.sqrt(DEVIATION**2 + 80**2)
    exact = MEAN + DEVIATION**2 / math.sqrt(DEVIATION**2 + 0.002**2) * quantile
    return float((sample_edm_heun(denoised, NOISE, noise_levels(steps)) - exact).abs().max())


def order(error: Callable[[int], float], steps: int) -> float:
    """By which power of the step the error falls."""
    return math.log2(error(steps) / error(2 * steps))


def test_euler_converges_at_order_one() -> None:
    assert order(euler_error, 50) == pytest.approx(1, abs=0.1)
    assert order(euler_error, 400) == pytest.approx(1, abs=0.02)
    assert euler_error(1000) < 2e-3


def test_edm_heun_converges_at_order_two() -> None:
    assert order(edm_error, 40) == pytest.approx(2, abs=0.2)
    assert order(edm_error, 320) == pytest.approx(2, abs=0.05)
    assert edm_error(1000) < 3e-5


def test_ddim_converges_to_the_datas_mean_and_deviation() -> None:
    noise = (NOISE - NOISE.mean()) / NOISE.std()

    def distance(steps: int) -> float:
        found = sample_ddim(noise_of, noise, kept_timesteps(steps))
        return max(abs(float(found.mean()) - MEAN), abs(float(found.std()) - DEVIATION))

    distances = [distance(steps) for steps in (10, 50, 250, 1000)]
    assert distances == sorted(distances, reverse=True)
    # The process starts at a signal level of 4e-5, not 0: a share of 0.6 % of the mean is there from the start.
    assert distances[-1] < 0.01
    assert distances[0] > 3 * distances[-1]


def test_ddim_keeps_a_prediction_that_is_right_everywhere() -> None:
    """With the true noise of one image predicted at every step, that image comes out whatever the steps."""
    image = torch.tensor([0.3, -1.2, 2.0], dtype=torch.float64)
    epsilon = torch.tensor([1.0, -0.5, 0.2], dtype=torch.float64)
    level = float(signal_levels([999])[0])
    start = math.sqrt(level) * image + math.sqrt(1 - level) * epsilon
    for steps in (2, 5, 250):
        assert torch.allclose(sample_ddim(lambda x, t, step: epsilon, start, kept_timesteps(steps)), image, atol=1e-9)


def test_the_state_of_edm_heun_is_kept_in_float64() -> None:
    seen = []

    def single(x: Tensor, sigma: float, evaluation: int) -> Tensor:
        seen.append(x.dtype)
        return denoised(x, sigma, evaluation).float()

    assert sample_edm_heun(single, NOISE.float(), noise_levels(3)).dtype == torch.float64
    assert set(seen) == {torch.float64}


# Schedules


def test_an_interval_that_ends_on_a_step_means_that_step() -> None:
    """1 - 7 / 10 is 0.30000000000000004; the level that intervals know is 0.3."""
    levels = [moment.noise for moment in moments(Settings("euler", 10))]
    assert levels == [1.0, 0.9, 0.8, 0.7, 0.6, 0.5, 0.4, 0.3, 0.2, 0.1]


@given(st.integers(2, 300))
def test_noise_levels_fall_from_80_to_0(steps: int) -> None:
    levels = noise_levels(steps)
    assert len(levels) == steps + 1
    assert levels[0] == pytest.approx(80, rel=1e-12)
    assert levels[-2] == pytest.approx(0.002, rel=1e-9)
    assert levels[-1] == 0
    assert all(before > after for before, after in itertools.pairwise(levels))


def test_noise_levels_of_the_paper() -> None:
    """Equal distances in the seventh root."""
    roots = [level ** (1 / 7) for level in noise_levels(18)[:-1]]
    distances = [before - after for before, after in itertools.pairwise(roots)]
    assert distances == pytest.approx([distances[0]] * 17, rel=1e-9)
    assert noise_levels(1) == [pytest.approx(80), 0.0]


@given(st.integers(2, 1000))
def test_kept_timesteps_reach_both_ends_evenly(steps: int) -> None:
    kept = kept_timesteps(steps)
    assert len(kept) == steps
    assert (kept[0], kept[-1]) == (0, 999)
    strides = [after - before for before, after in itertools.pairwise(kept)]
    assert min(strides) >= 1
    assert max(strides) - min(strides) <= 2


def test_kept_timesteps_of_250_steps_and_of_all() -> None:
    assert kept_timesteps(1000) == list(range(1000))
    assert kept_timesteps(250)[:6] == [0, 4, 8, 12, 16, 20]
    assert kept_timesteps(5) == [0, 250, 500, 749, 999]


def test_signal_levels_are_those_of_linear_betas() -> None:
    first, second, last = signal_levels([0, 1, 999]).tolist()
    assert first == pytest.approx(1 - 1e-4, rel=1e-12)
    assert second == pytest.approx((1 - 1e-4) * (1 - 1e-4 - 0.0199 / 999), rel=1e-12)
    # The well-known end of this process.
    assert last == pytest.approx(4.036e-5, rel=1e-3)


# Evaluations


@pytest.mark.slow
@pytest.mark.parametrize("name", SAMPLERS)
@given(steps=st.integers(1, 40))
def test_the_moments_that_costs_are_made_of_are_the_evaluations_made(name: str, steps: int) -> None:
    evaluates_as_declared(SAMPLERS[name], steps)
    assert len(moments(settings_of(SAMPLERS[name], steps))) == SAMPLERS[name].evaluations(steps)


@pytest.mark.parametrize("name", SAMPLERS)
@given(steps=st.integers(1, 40))
def test_moments_run_from_noise_to_image(name: str, steps: int) -> None:
    runs_from_noise_to_image(SAMPLERS[name], steps)
    found = moments(Settings(name, steps))
    assert all(before.noise >= after.noise for before, after in itertools.pairwise(found))


@pytest.mark.slow
@pytest.mark.parametrize(("rule", "branches"), [("none", 1), ("cfg", 2), ("sg", 2)])
def test_every_evaluation_and_branch_is_one_row_an_image(rule: str, branches: int) -> None:
    settings = Guidance(rule, 1.0 if rule == "none" else 1.5, 0.0, 0.5 if rule == "sg" else 0.0)
    cell = Cell("fashion-routing", settings, Settings("euler", 3), 0, "balanced", "float32")
    networks = load_networks(cell, False, torch.device("cpu"))
    rows: list[int] = []
    networks.main.register_forward_hook(lambda _, inputs, __: rows.append(len(inputs[0])))
    sample(cell, networks, [0], torch.device("cpu"))
    # Branches of equal shape share a call.
    assert len(rows) == (2 if rule == "sg" else 1) * SAMPLERS["euler"].evaluations(3)
    assert sum(rows) == branches * SAMPLERS["euler"].evaluations(3) * group_size(64)


def test_samplers_have_the_update_of_cfg_plus_plus_where_the_rule_says_so() -> None:
    able = tuple(name for name, kind in SAMPLERS.items() if kind.solve_plus_plus)
    assert {rule.samplers for rule in RULES.values() if rule.replaces_update} == {able}
