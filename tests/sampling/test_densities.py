"""Samplers and guidance on densities whose score is known: orders, laws, and where guidance moves samples."""

from __future__ import annotations

import math
from collections.abc import Callable

import pytest
import torch
from torch import Tensor

from sgbench.guidance import combine
from sgbench.samplers.clocks import flow_times, kept_timesteps, signal_levels
from sgbench.samplers.methods.ddim import sample_ddim, sample_ddim_plus_plus
from sgbench.samplers.methods.ddpm import sample_ddpm
from sgbench.samplers.methods.edm_heun import churned_levels, noise_levels, sample_edm_heun
from sgbench.samplers.methods.euler import sample_euler, sample_euler_plus_plus
from sgbench.samplers.methods.euler_maruyama import sample_euler_maruyama, stochastic_times
from sgbench.samplers.methods.heun import sample_heun
from sgbench.samplers.settings import Sampler

MEAN, DEVIATION = 0.7, 0.5
Fresh = Callable[[int], Tensor]


def gaussian_velocity(mean: float, deviation: float) -> Callable[[Tensor, float, int], Tensor]:
    """E[noise - image | x] at x = (1 - t) image + t noise, images from N(mean, deviation^2)."""

    def velocity(x: Tensor, t: float, step: int = 0) -> Tensor:
        spread = (1 - t) ** 2 * deviation**2 + t**2
        return -mean + (t - (1 - t) * deviation**2) / spread * (x - (1 - t) * mean)

    return velocity


def unit(count: int, seed: int = 0) -> Tensor:
    return torch.randn(count, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def fresh(count: int) -> Fresh:
    return lambda step: unit(count, 1000 + step)


def order(error: Callable[[int], float], steps: int) -> float:
    return math.log2(error(steps) / error(2 * steps))


# Orders


@pytest.mark.parametrize("shift", [1.0, 3.0])
def test_flow_heun_converges_at_order_two_and_euler_at_order_one(shift: float) -> None:
    noise, exact = unit(50), MEAN + DEVIATION * unit(50)
    velocity = gaussian_velocity(MEAN, DEVIATION)

    def heun(steps: int) -> float:
        return float((sample_heun(velocity, noise, flow_times(steps, shift)) - exact).abs().max())

    def euler(steps: int) -> float:
        return float((sample_euler(velocity, noise, flow_times(steps, shift)) - exact).abs().max())

    assert order(heun, 160) == pytest.approx(2, abs=0.15)
    assert order(euler, 160) == pytest.approx(1, abs=0.1)
    assert heun(80) < euler(160) / 5


@pytest.mark.full
def test_euler_maruyama_converges_weakly_at_order_one() -> None:
    """The end's variance, known exactly: every step is linear in the state, so moments follow by recursion."""

    def error(steps: int) -> float:
        times = stochastic_times(steps)
        velocity = gaussian_velocity(0.0, DEVIATION)
        one, nothing = torch.ones(1, dtype=torch.float64), lambda step: torch.zeros(1, dtype=torch.float64)
        # What a unit of state, or of noise entering at a step, comes to at the end.
        gains = [float(sample_euler_maruyama(velocity, one, times, nothing))]
        for step in range(steps - 1):
            after = sample_euler_maruyama(
                velocity, 0 * one, times, lambda now, step=step: one if now == step else 0 * one
            )
            gains.append(float(after))
        variance = sum(gain**2 for gain in gains)
        return abs(variance - DEVIATION**2)

    # The last step of 0.04 has no noise and a fixed size: its error stays, and is the limit.
    limit = error(640)
    assert limit < 0.006
    assert error(20) - limit == pytest.approx(2 * (error(40) - limit), rel=0.25)


@pytest.mark.slow
def test_euler_maruyama_draws_the_density() -> None:
    count = 20_000
    found = sample_euler_maruyama(gaussian_velocity(MEAN, DEVIATION), unit(count), stochastic_times(250), fresh(count))
    assert float(found.mean()) == pytest.approx(MEAN, abs=4 * DEVIATION / math.sqrt(count) + 0.003)
    assert float(found.std()) == pytest.approx(DEVIATION, abs=0.012)


@pytest.mark.parametrize("churn", [0.0, 40.0])
def test_edm_draws_the_density_with_and_without_churn(churn: float) -> None:
    count, steps = 20_000, 60
    levels = noise_levels(steps)
    raised = churned_levels(levels, Sampler("edm-heun", steps, churn=churn, churn_min=0.05, churn_max=50))

    def denoise(x: Tensor, sigma: float, evaluation: int) -> Tensor:
        return MEAN + DEVIATION**2 / (DEVIATION**2 + sigma**2) * (x - MEAN)

    found = sample_edm_heun(denoise, unit(count), levels, raised, fresh(count))
    assert float(found.mean()) == pytest.approx(MEAN, abs=0.02)
    assert float(found.std()) == pytest.approx(DEVIATION, abs=0.02)
    still = sample_edm_heun(denoise, unit(count), levels)
    assert torch.equal(found, still) == (churn == 0)


def test_churn_raises_levels_within_its_limits_only() -> None:
    levels = noise_levels(10)
    raised = churned_levels(levels, Sampler("edm-heun", 10, churn=2.0, churn_min=0.1, churn_max=10))
    for before, after in zip(levels, raised, strict=True):
        assert after == pytest.approx(before * (1.2 if 0.1 <= before <= 10 else 1.0))
    most = churned_levels(levels, Sampler("edm-heun", 10, churn=100.0))
    assert most[0] == pytest.approx(80 * math.sqrt(2))


def epsilon_of(x: Tensor, timestep: int, step: int = 0) -> Tensor:
    level = float(signal_levels([timestep])[0])
    return math.sqrt(1 - level) / (level * DEVIATION**2 + 1 - level) * (x - math.sqrt(level) * MEAN)


@pytest.mark.slow
@pytest.mark.parametrize(("steps", "tolerance"), [(1000, 0.015), (250, 0.03)])
def test_ddpm_draws_the_density_with_the_exact_variance(steps: int, tolerance: float) -> None:
    """For Gaussian data the exact posterior variance lies between the two bounds that a network interpolates."""
    count = 8_000
    timesteps = kept_timesteps(steps)
    levels = [1.0, *signal_levels(timesteps).tolist()]

    def with_variance(x: Tensor, timestep: int, step: int) -> Tensor:
        index = timesteps.index(timestep)
        level, before = levels[index + 1], levels[index]
        beta = 1 - level / before
        smallest = beta * (1 - before) / (1 - level)
        # Var[x' | x] = smallest + the spread of the image given x, carried over.
        spread = DEVIATION**2 * (1 - level) / (level * DEVIATION**2 + 1 - level)
        exact = smallest + (math.sqrt(before) * beta / (1 - level)) ** 2 * spread
        share = 1.0 if index == 0 else math.log(exact / smallest) / math.log(beta / smallest)
        return torch.stack([epsilon_of(x[:, 0], timestep), torch.full_like(x[:, 0], 2 * share - 1)], dim=1)

    found = sample_ddpm(
        with_variance, unit(count).unsqueeze(1), timesteps, lambda step: fresh(count)(step).unsqueeze(1)
    )
    assert float(found.mean()) == pytest.approx(MEAN, abs=4 * DEVIATION / math.sqrt(count) + 0.006)
    assert float(found.std()) == pytest.approx(DEVIATION, abs=tolerance)


# CFG++


def test_cfg_plus_plus_without_a_difference_is_the_plain_sampler() -> None:
    velocity, noise = gaussian_velocity(MEAN, DEVIATION), unit(9)
    times, timesteps = flow_times(7), kept_timesteps(7)
    pairs = sample_euler_plus_plus(lambda x, t, step: (velocity(x, t), velocity(x, t)), noise, times)
    assert torch.allclose(pairs, sample_euler(velocity, noise, times))
    both = sample_ddim_plus_plus(lambda x, t, step: (epsilon_of(x, int(t)), epsilon_of(x, int(t))), noise, timesteps)
    assert torch.allclose(both, sample_ddim(epsilon_of, noise, timesteps))


@pytest.mark.parametrize("scale", [0.3, 0.6, 1.0])
def test_cfg_plus_plus_in_euler_is_cfg_at_a_scale_of_its_own(scale: float) -> None:
    """w t (1 - t') / (t - t'), as the rule's note says."""
    strong, weak, noise, times = gaussian_velocity(1.0, 0.3), gaussian_velocity(0.0, 1.0), unit(9), flow_times(12)

    def pair(x: Tensor, t: float, step: int) -> tuple[Tensor, Tensor]:
        return combine(strong(x, t), weak(x, t), scale), weak(x, t)

    def cfg(x: Tensor, t: float, step: int) -> Tensor:
        after = times[step + 1]
        return combine(strong(x, t), weak(x, t), scale * t * (1 - after) / (t - after))

    assert torch.allclose(sample_euler_plus_plus(pair, noise, times), sample_euler(cfg, noise, times))


# Guidance on a mixture in the plane whose weak model is known

CENTRES = torch.tensor([[-1.0, 0.0], [1.0, 0.4]], dtype=torch.float64)


def mixture_score(x: Tensor, t: float, deviation: float) -> Tensor:
    """Score of (1 - t) image + t noise, images from equal Gaussians around CENTRES."""
    spread = (1 - t) ** 2 * deviation**2 + t**2
    offsets = (1 - t) * CENTRES - x[:, None]
    weights = torch.softmax(-offsets.square().sum(2) / (2 * spread), dim=1)
    return (weights[:, :, None] * offsets).sum(1) / spread


def mixture_velocity(deviation: float) -> Callable[[Tensor, float, int], Tensor]:
    """v = -(x + t score) / (1 - t), and its limit at t = 1."""

    def velocity(x: Tensor, t: float, step: int = 0) -> Tensor:
        if t == 1:
            return x - CENTRES.mean(0)
        return -(x + t * mixture_score(x, t, deviation)) / (1 - t)

    return velocity


SHARP, BLURRED = 0.25, 0.5


def guided_mixture(scale: float, steps: int = 200, count: int = 4000) -> Tensor:
    strong, weak = mixture_velocity(SHARP), mixture_velocity(BLURRED)
    noise = unit(2 * count).reshape(count, 2)
    return sample_heun(lambda x, t, step: combine(strong(x, t), weak(x, t), scale), noise, flow_times(steps))


def spread_around_centres(x: Tensor) -> float:
    nearest = (x[:, None] - CENTRES).square().sum(2).min(1).values
    return float(nearest.mean().sqrt())


def test_guidance_follows_the_score_of_the_sharpened_density() -> None:
    """The guided velocity at (x, t) is that of p_strong^w p_weak^(1 - w): scores combine with the same weights."""
    x, scale = unit(40).reshape(20, 2), 2.5
    for t in (0.2, 0.5, 0.9):
        guided = combine(mixture_velocity(SHARP)(x, t), mixture_velocity(BLURRED)(x, t), scale)
        x_ = x.clone().requires_grad_(True)

        def log_density(y: Tensor, deviation: float, t: float = t) -> Tensor:
            spread = (1 - t) ** 2 * deviation**2 + t**2
            distances = (y[:, None] - (1 - t) * CENTRES).square().sum(2)
            return torch.logsumexp(-distances / (2 * spread), 1) - math.log(spread)

        product = scale * log_density(x_, SHARP) + (1 - scale) * log_density(x_, BLURRED)
        (score,) = torch.autograd.grad(product.sum(), x_)
        assert torch.allclose(guided, -(x + t * score) / (1 - t))


@pytest.mark.slow
def test_guidance_away_from_a_blurred_model_draws_samples_towards_the_centres() -> None:
    spreads = [spread_around_centres(guided_mixture(scale)) for scale in (1.0, 1.5, 2.0, 3.0)]
    assert spreads == sorted(spreads, reverse=True)
    # Unguided: two coordinates of deviation 0.25 each.
    assert spreads[0] == pytest.approx(SHARP * math.sqrt(2), abs=0.01)
    assert spreads[-1] < 0.75 * spreads[0]
    # And both modes keep their share.
    shares = (guided_mixture(3.0)[:, 0] > 0).double().mean()
    assert float(shares) == pytest.approx(0.5, abs=0.04)


def test_the_spread_under_guidance_is_the_formulas() -> None:
    """One Gaussian: the guided flow is linear, so its gain is a product that a fine integration gives."""
    strong, weak, scale = gaussian_velocity(MEAN, SHARP), gaussian_velocity(MEAN, BLURRED), 1.8
    noise = unit(400)
    found = sample_heun(lambda x, t, step: combine(strong(x, t), weak(x, t), scale), noise, flow_times(400))

    def rate(t: float) -> float:
        parts = [(t - (1 - t) * s**2) / ((1 - t) ** 2 * s**2 + t**2) for s in (SHARP, BLURRED)]
        return parts[1] + scale * (parts[0] - parts[1])

    points = 20_000
    gain = math.exp(-sum(rate((index + 0.5) / points) for index in range(points)) / points)
    assert torch.allclose(found, MEAN + gain * noise, atol=2e-4)
