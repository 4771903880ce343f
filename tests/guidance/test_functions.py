"""What rules make of given predictions: equal to published implementations, and laws that follow from the formulas."""

from __future__ import annotations

import math
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from safetensors.torch import load_file
from torch import Tensor

from sgbench.cells.cell import Cell
from sgbench.cells.closed_form import image_macs
from sgbench.conformance.rules import RuleCase, moments, walk
from sgbench.guidance import RULES, combine
from sgbench.guidance.branches import Combine, Step
from sgbench.guidance.formulas import along, constant, rescale
from sgbench.guidance.presets import PRESETS
from sgbench.guidance.rules.cfg_adaptive import aligned
from sgbench.guidance.rules.frequency_decoupled import decouple, low_pass
from sgbench.guidance.rules.history import cosines, high_pass, leave_the_past
from sgbench.guidance.rules.magnitude_aware import damp
from sgbench.guidance.rules.tangential_amplifying import amplify
from sgbench.guidance.settings import Guidance
from sgbench.models.architecture import Macs
from sgbench.models.family import Prediction
from sgbench.networks.prediction import from_image, to_image
from sgbench.samplers.settings import Sampler
from sgbench.sampling.engine import sample
from sgbench.sampling.networks import Networks
from tests.every_rule import EVERY

Tiny = Callable[[str, int], tuple[str, Networks]]
# Recorded by record_guiders.py, which names the versions.
DIFFUSERS = Path(__file__).parents[1] / "golden" / "guiders" / "diffusers.safetensors"
LEVELS = (("velocity", 0.3), ("velocity-from-noise", 0.8), ("edm", 2.0), ("epsilon", 400))
shapes = st.tuples(st.integers(1, 3), st.integers(1, 4), st.integers(1, 9), st.integers(2, 9))
seeds, scales = st.integers(0, 1000), st.floats(1.1, 6)


def drawn(shape: tuple[int, ...], seed: int, count: int = 2) -> list[Tensor]:
    generator = torch.Generator().manual_seed(seed)
    return [torch.randn(shape, generator=generator, dtype=torch.float64) for _ in range(count)]


def made(
    rule: Combine,
    strong: Tensor,
    weak: Tensor | None = None,
    scale: float = 2.0,
    x: Tensor | None = None,
    time: float = 1.0,
    memory: dict[str, Tensor] | None = None,
    **parameters: float,
) -> Tensor:
    """A rule's function in the middle of a run."""
    state = strong if x is None else x
    step = Step(state, time, time, 1, 4, 0.25, scale, parameters, {} if memory is None else memory)
    return rule({"strong": strong} if weak is None else {"strong": strong, "weak": weak}, step)


@pytest.mark.parametrize(
    ("name", "rule", "parameters"), [("mambo-g", damp, {"damping": 8.0}), ("fdg", decouple, {"low_share": 4 / 9})]
)
def test_equal_to_diffusers(name: str, rule: Combine, parameters: dict[str, float]) -> None:
    """At the settings recorded there, which are also the rules' defaults."""
    assert {p.name: p.default for p in RULES[name].parameters} == parameters
    assert RULES[name].scale_default == 10
    golden = load_file(DIFFUSERS)
    found = made(rule, golden["strong"], golden["weak"], 10.0, **parameters)
    assert torch.allclose(found, golden[name], atol=1e-5)
    assert not torch.allclose(found, combine(golden["strong"], golden["weak"], 10.0), atol=0.1)


@given(shape=shapes, seed=seeds, scale=scales)
def test_without_their_own_term_they_are_cfg(shape: tuple[int, ...], seed: int, scale: float) -> None:
    strong, weak = drawn(shape, seed)
    cfg = combine(strong, weak, scale)
    assert torch.allclose(made(damp, strong, weak, scale, damping=0.0), cfg)
    assert torch.allclose(made(decouple, strong, weak, scale, low_share=1.0), cfg)


@given(shape=shapes, seed=seeds, scale=scales, damping=st.floats(0.1, 8))
def test_the_damped_scale_is_that_of_the_distance(
    shape: tuple[int, ...], seed: int, scale: float, damping: float
) -> None:
    strong, weak = drawn(shape, seed)
    found = made(damp, strong, weak, scale, damping=damping)
    for image, s, u in zip(found, strong, weak, strict=True):
        own = 1 + (scale - 1) * math.exp(-damping * float((s - u).norm() / u.norm()))
        assert torch.allclose(image, combine(s, u, own))


# Fresh networks predict zeros


@pytest.mark.parametrize("name", RULES)
def test_predictions_of_zero_make_a_finite_one(name: str) -> None:
    """Of any rule, where all predictions are zero, or all but the strong one."""
    case, combined = RuleCase(RULES[name]), RULES[name].combine
    assert all(torch.isfinite(made).all() for made in walk(case, change=torch.zeros_like))
    (predictions, state), *_ = moments(RULES[name])
    zeros = {name: one if name == "strong" else 0 * one for name, one in predictions.items()}
    step = Step(state, 0.9, 0.9, 0, 4, 0.1, case.guidance.scale, case.guidance.numbers, {})
    if combined is not None:
        assert torch.isfinite(combined(zeros, step)).all()


def test_without_damping_zeros_are_guided_as_by_cfg() -> None:
    (strong,) = drawn((2, 3, 4, 4), 0, 1)
    assert torch.allclose(made(damp, strong, 0 * strong, 3.0, damping=0.0), 3 * strong)


@given(shape=shapes, seed=seeds, share=st.floats(0, 1))
def test_guarded_divisors_change_no_bit(shape: tuple[int, ...], seed: int, share: float) -> None:
    one, other = (x.float() for x in drawn(shape, seed))
    dims = (1, 2, 3)
    plain = (one * other).sum(dims, keepdim=True) / other.square().sum(dims, keepdim=True) * other
    assert torch.equal(along(one, other), plain)
    ratio = one.std(dims, keepdim=True) / other.std(dims, keepdim=True)
    assert torch.equal(rescale(other, one, share), other * (share * ratio + (1 - share)))
    assert torch.equal(rescale(0 * one, 0 * one, share), 0 * one)
    assert torch.equal(along(one, 0 * one), 0 * one)


# Frequencies


@given(shape=shapes, seed=seeds, scale=scales, share=st.floats(0, 1))
def test_even_differences_are_low_and_chequered_ones_high(
    shape: tuple[int, ...], seed: int, scale: float, share: float
) -> None:
    """Of any side, odd ones too: there the two scales can be read off."""
    (strong,) = drawn(shape, seed, 1)
    even = torch.ones_like(strong)
    rows, columns = (torch.arange(side, dtype=torch.float64) for side in shape[2:])
    chequered = even * (-1) ** (rows[:, None] + columns)
    low, high = (made(decouple, strong, strong - d, scale, low_share=share) - strong for d in (even, chequered))
    assert torch.allclose(low, share * (scale - 1) * even)
    assert torch.allclose(high, (scale - 1) * chequered)


@given(side=st.integers(1, 33))
def test_a_low_pass_keeps_means_and_a_cosine_transform_lengths(side: int) -> None:
    ones = torch.ones(side, dtype=torch.float64)
    assert torch.allclose(low_pass(side) @ ones, ones)
    waves = cosines(side)
    assert torch.allclose(waves @ waves.T, torch.eye(side, dtype=torch.float64), atol=1e-12)
    assert torch.allclose(waves[0], ones / side**0.5)


@given(shape=shapes, seed=seeds, cutoff=st.floats(0.01, 1))
def test_a_high_pass_weighs_cosines(shape: tuple[int, ...], seed: int, cutoff: float) -> None:
    """A single cosine comes out with its own weight, whichever it is."""
    height, width = shape[2:]
    u, v = seed % height, seed % width
    x = torch.outer(cosines(height)[u], cosines(width)[v]).expand(shape)
    weight = 1 / (1 + math.exp(-50 * (math.hypot(u / height, v / width) - cutoff)))
    assert torch.allclose(high_pass(x, cutoff), weight * x)


def test_constant_matrices_are_made_once() -> None:
    """They are part of the measured time of a rule that has them."""
    (x,) = drawn((2, 3, 6, 10), 0, 1)
    results = []
    for _ in range(3):
        results.append((made(decouple, x, 2 * x, low_share=0.5), high_pass(x, 0.1)))
        if len(results) == 1:
            constant.cache_clear()
    assert constant.cache_info().misses == 4
    for found in results[1:]:
        assert all(map(torch.equal, found, results[0]))
    assert torch.equal(constant(low_pass, 6, torch.float32, x.device), low_pass(6).float())


# The past


@given(shape=shapes, seed=seeds, scale=scales, average=st.floats(0.05, 1), time=st.floats(0.5, 1))
def test_history_is_a_mean_that_starts_from_nothing(
    shape: tuple[int, ...], seed: int, scale: float, average: float, time: float
) -> None:
    first, second, third = drawn(shape, seed, 3)
    own = {"eta": 1.0, "average": average, "t_min": 0.4, "cutoff": 0.05}
    memory: dict[str, Tensor] = {}
    assert torch.equal(made(leave_the_past, first, scale=scale, memory=memory, **own), first)
    made(leave_the_past, second, scale=scale, memory=memory, **own)
    found = made(leave_the_past, third, scale=scale, time=time, memory=memory, **own)
    past = average * second + average * (1 - average) * first
    push = (scale - 1) * math.sqrt((time - 0.4) / 0.6)
    assert torch.allclose(found, third + push * high_pass(third - past, 0.05))
    # What was made is not part of the past.
    assert torch.allclose(memory["past"], average * third + (1 - average) * past)


@given(shape=shapes, seed=seeds, scale=scales, average=st.floats(0.05, 1))
def test_a_past_like_the_present_pushes_along_it_alone(
    shape: tuple[int, ...], seed: int, scale: float, average: float
) -> None:
    """So that nothing is left of it at eta 0; and nothing is guided at t_min."""
    (image,) = drawn(shape, seed, 1)
    own = {"average": average, "cutoff": 0.05}
    memory: dict[str, Tensor] = {}
    for _ in range(3):
        found = made(leave_the_past, image, scale=scale, memory=memory, eta=0.0, t_min=0.4, **own)
        assert torch.allclose(found, image)
    other = drawn(shape, seed + 1, 1)[0]
    assert torch.equal(made(leave_the_past, other, time=0.4, memory=memory, eta=1.0, t_min=0.4, **own), other)


def test_higs_has_the_papers_settings() -> None:
    """Of SiT-XL without CFG (Table 12), where its weight is 1."""
    own = {p.name: p.default for p in RULES["higs"].parameters}
    assert own == {"eta": 1.0, "average": 0.75, "t_min": 0.4, "cutoff": 0.05}
    assert RULES["higs"].scale_default == 1 + 1


# The direction of the state


@given(shape=shapes, seed=seeds, scale=scales)
def test_tag_keeps_what_is_along_the_state_and_stretches_the_rest(
    shape: tuple[int, ...], seed: int, scale: float
) -> None:
    strong, x = drawn(shape, seed)
    found = made(amplify, strong, scale=scale, x=x)
    assert torch.allclose(along(found, x), along(strong, x))
    assert torch.allclose(found - along(found, x), scale * (strong - along(strong, x)))


@pytest.mark.parametrize(("kind", "level"), LEVELS)
@given(shape=shapes, seed=seeds, scale=scales, share=st.floats(0, 1))
def test_tag_and_fdg_are_the_same_in_every_space(
    kind: Prediction, level: float, shape: tuple[int, ...], seed: int, scale: float, share: float
) -> None:
    x, strong, weak = drawn(shape, seed, 3)
    image, other = (to_image(kind, prediction, x, level) for prediction in (strong, weak))
    native, through = made(amplify, strong, scale=scale, x=x), made(amplify, image, scale=scale, x=x)
    assert torch.allclose(to_image(kind, native, x, level), through)
    native, through = (made(decouple, a, b, scale, low_share=share) for a, b in ((strong, weak), (image, other)))
    assert torch.allclose(from_image(kind, through, x, level), native)


# Rules of one call, and guidance that ends


@pytest.mark.parametrize("name", ["higs", "previous-step", "tag"])
def test_rules_of_one_call_cost_what_the_model_costs(name: str) -> None:
    rule = RULES[name]
    assert rule.scale_default is not None
    assert cost(EVERY[name]._replace(scale=rule.scale_default)) == cost(Guidance("none"))


def cost(guidance: Guidance) -> Macs:
    model = "tread-sit XL/2 256 weights=random"
    return image_macs(Cell(model, guidance._replace(gamma_strong=0.0), Sampler("euler", 40), 0, "balanced", "float32"))


def test_the_preset_of_the_step_before_is_its_authors() -> None:
    preset = PRESETS["self_guidance_prev"]
    assert preset.rule == "previous-step"
    assert preset.settings["scale"] == RULES["previous-step"].scale_default == 1 + 3
    assert str(preset.settings["interval"]) == "noise 0 to 0.5"


@given(shape=shapes, seed=seeds, angle=st.floats(0, 3))
def test_guidance_ends_by_the_angle_between_predictions(shape: tuple[int, ...], seed: int, angle: float) -> None:
    strong, other = drawn(shape, seed)
    across = other - along(other, strong)
    lengths = [one.square().sum((1, 2, 3), keepdim=True).sqrt() for one in (strong, across)]
    weak = 3 * (math.cos(angle) * strong + math.sin(angle) * across * lengths[0] / lengths[1])
    for threshold in (0.0, 0.5, 0.991):
        step = Step(strong, 0.5, 0.5, 1, 4, 0.25, 2.0, {"cosine": threshold}, {})
        if abs(math.cos(angle) - threshold) > 1e-6:
            assert (aligned({"strong": strong, "weak": weak}, step) == (math.cos(angle) > threshold)).all()


def test_adaptive_cfg_is_cfg_up_to_its_end(tiny: Tiny) -> None:
    name, networks = tiny("tread-sit", 0)

    def images(guidance: Guidance) -> tuple[Tensor, tuple[int, ...]]:
        cell = Cell(name, guidance, Sampler("euler", 4), 0, "balanced", "float32")
        found = sample(cell, networks, range(4), torch.device("cpu"))
        return found.images, found.guided

    cfg, _ = images(Guidance("cfg", 2.0))
    never, guided = images(Guidance("cfg-adaptive", 2.0, parameters=(("cosine", 1.0),)))
    assert torch.equal(never, cfg)
    assert set(guided) == {4}
    _, guided = images(Guidance("cfg-adaptive", 2.0, parameters=(("cosine", 0.0),)))
    assert set(guided) == {1}
