"""The laws that tie rules to each other, over random networks, shapes, scales and seeds; cells run by the engine."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st
from torch import Tensor

from sgbench.cells.cell import Cell
from sgbench.cells.closed_form import image_macs, stopped_macs
from sgbench.cells.program import may_stop
from sgbench.cost.macs import count_kept
from sgbench.guidance import RULES, add_perturbed_guidance, combine, rescale
from sgbench.guidance.branches import Combine, Step
from sgbench.guidance.perturbation import Perturbation
from sgbench.guidance.rules.apg import project
from sgbench.guidance.rules.cfg_zero import fit
from sgbench.guidance.rules.tangential import damp
from sgbench.guidance.schedules import interval, scale_schedule
from sgbench.guidance.settings import Guidance
from sgbench.models.architecture import Architecture, Macs
from sgbench.models.architecture import total as sum_of
from sgbench.models.family import Prediction
from sgbench.networks.denoiser import Denoiser
from sgbench.networks.prediction import from_image, to_image
from sgbench.samplers.settings import Sampler
from sgbench.sampling.engine import final_state, run_cell
from sgbench.sampling.networks import Networks
from tests.every_rule import EVERY, with_scale

Tiny = Callable[[str, int], tuple[str, Networks]]
CPU = torch.device("cpu")
COUNTED: dict[tuple[Architecture, int, Perturbation | None, bool], Macs] = {}
PLAIN_APG = (("eta", 1.0), ("momentum", 0.0), ("norm_limit", 0.0))
UNSCALED = [name for name, rule in RULES.items() if not rule.guided or rule.replaces_update]
seeds, scales, gammas = st.integers(0, 7), st.floats(1.1, 6), st.sampled_from([0.0, 0.25, 0.5, 0.8])
few = settings(max_examples=12, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])


def family_of(rule: str) -> str:
    if RULES[rule].needs_inner:
        return "ig-sit"
    return "sprint" if RULES[rule].drops_path else "tread-sit"


def cell(model: str, guidance: Guidance, seed: int = 0, sampler: Sampler | None = None) -> Cell:
    return Cell(model, guidance, sampler or Sampler("euler", 3), seed, "balanced", "float32")


def run(
    tiny: Tiny, guidance: Guidance, seed: int, family: str = "tread-sit", indices: list[int] | None = None
) -> Tensor:
    name, networks = tiny(family, seed)
    return final_state(cell(name, guidance, seed), networks, indices or [0, 1, 2], CPU)


def counted(network: Denoiser, kept: int, perturbation: Perturbation | None, inner: bool) -> Macs:
    """What fvcore counts of a call: it traces for a quarter of a second, so each distinct call is traced once."""
    key = (network.architecture, kept, perturbation, inner)
    if key not in COUNTED:
        COUNTED[key] = count_kept(network, kept, perturbation, inner)
    return COUNTED[key]


def by(
    rule: Combine,
    strong: Tensor,
    weak: Tensor,
    scale: float,
    parameters: dict[str, float] | None = None,
    memory: dict[str, Tensor] | None = None,
) -> Tensor:
    """A rule's function at the middle of a run."""
    memory = {} if memory is None else memory
    return rule({"strong": strong, "weak": weak}, Step(strong, 0.5, 0.5, 1, 4, 0.25, scale, parameters or {}, memory))


def close(found: Tensor, expected: Tensor, tolerance: float = 1e-4) -> bool:
    return float((found - expected).abs().max()) <= tolerance * float(expected.abs().max())


# Rules that are others in disguise


@pytest.mark.slow
@few
@given(seed=seeds, gamma=gammas)
@pytest.mark.parametrize("rule", [name for name in EVERY if name not in UNSCALED])
def test_scale_one_is_the_strong_branch_alone(tiny: Tiny, rule: str, seed: int, gamma: float) -> None:
    gamma_strong = gamma if RULES[rule].takes_gamma_strong else 0.0
    guidance = EVERY[rule]._replace(scale=1.0, gamma_strong=gamma_strong)
    changes = {"zero_steps": 0.0, "perturb_scale": 0.0}
    guidance = guidance._replace(parameters=tuple((k, changes.get(k, v)) for k, v in guidance.parameters))
    family = family_of(rule)
    assert torch.equal(run(tiny, guidance, seed, family), run(tiny, Guidance("none", 1.0, gamma_strong), seed, family))


@few
@given(seed=seeds, scale=scales)
def test_sg_without_sparsity_is_no_guidance(tiny: Tiny, seed: int, scale: float) -> None:
    plain = run(tiny, Guidance("none"), seed)
    # Two branches share a batch of twice the rows, and a CPU's kernels round by the number of rows.
    assert close(run(tiny, Guidance("sg", scale, 0.0, 0.0), seed), plain, 1e-5)


@pytest.mark.slow
@few
@given(seed=seeds, scale=scales, gamma=gammas, subset=st.sampled_from(["exact", "bernoulli", "fixed"]))
def test_equal_gammas_on_one_shared_subset_are_no_guidance(
    tiny: Tiny, seed: int, scale: float, gamma: float, subset: str
) -> None:
    shared = {"subset": subset, "sharing": "shared"}
    guided = run(tiny, Guidance("sg", scale, gamma, gamma, **shared), seed)
    assert close(guided, run(tiny, Guidance("none", 1.0, gamma, **shared), seed), 1e-5)


@pytest.mark.slow
@few
@given(seed=seeds, scale=scales)
def test_cfg_sg_without_sparsity_is_cfg_bit_for_bit(tiny: Tiny, seed: int, scale: float) -> None:
    assert torch.equal(run(tiny, Guidance("cfg+sg", scale), seed), run(tiny, Guidance("cfg", scale), seed))


@pytest.mark.slow
@few
@given(seed=seeds, scale=scales)
def test_autoguidance_by_the_same_checkpoint_is_no_guidance(tiny: Tiny, seed: int, scale: float) -> None:
    name, networks = tiny("tread-sit", seed)
    same = networks._replace(auxiliary=networks.main)
    guided = final_state(cell(name, Guidance("ag", scale), seed), same, [0, 1, 2], CPU)
    assert torch.equal(guided, run(tiny, Guidance("none"), seed))


@pytest.mark.slow
@few
@given(seed=seeds, scale=scales, family=st.sampled_from(["tread-sit", "sit"]))
def test_apg_that_projects_nothing_away_is_cfg(tiny: Tiny, seed: int, scale: float, family: str) -> None:
    apg = run(tiny, Guidance("apg", scale, parameters=PLAIN_APG), seed, family)
    assert close(apg, run(tiny, Guidance("cfg", scale), seed, family))


@pytest.mark.slow
@few
@given(seed=seeds, scale=scales)
def test_an_interval_of_width_zero_is_none_and_of_width_one_the_plain_rule(tiny: Tiny, seed: int, scale: float) -> None:
    none, plain = run(tiny, Guidance("none"), seed), run(tiny, Guidance("cfg", scale), seed)
    for clock in ("progress", "noise"):
        for edge in ("0", "0.5", "1"):
            empty = Guidance("cfg", scale, interval=interval(f"{clock} {edge} to {edge}"))
            assert torch.equal(run(tiny, empty, seed), none)
        assert torch.equal(run(tiny, Guidance("cfg", scale, interval=interval(f"{clock} 0 to 1")), seed), plain)


@few
@given(seed=seeds, rule=st.sampled_from([name for name in EVERY if RULES[name].guided]))
def test_outside_its_interval_every_rule_is_the_strong_branch(tiny: Tiny, seed: int, rule: str) -> None:
    parameters = tuple((k, 0.0 if k == "zero_steps" else v) for k, v in EVERY[rule].parameters)
    guidance = EVERY[rule]._replace(interval=interval("progress 0 to 0"), parameters=parameters)
    strong = Guidance("none", 1.0, guidance.gamma_strong)
    assert close(run(tiny, guidance, seed, family_of(rule)), run(tiny, strong, seed, family_of(rule)), 1e-5)


@pytest.mark.slow
@few
@given(seed=seeds, rule=st.sampled_from(sorted(EVERY)))
def test_rescale_at_zero_is_the_identity(tiny: Tiny, seed: int, rule: str) -> None:
    family = family_of(rule)
    plain, rescaled = (run(tiny, EVERY[rule]._replace(rescale=share), seed, family) for share in (1e-12, 0.7))
    assert close(run(tiny, EVERY[rule], seed, family), plain, 1e-6)
    if RULES[rule].guided:
        assert not close(rescaled, plain, 1e-4)


@pytest.mark.slow
@few
@given(seed=seeds, rule=st.sampled_from(sorted(EVERY)))
def test_the_order_of_the_batch_is_free(tiny: Tiny, seed: int, rule: str) -> None:
    forwards = run(tiny, EVERY[rule], seed, family_of(rule), [0, 1, 2, 3])
    backwards = run(tiny, EVERY[rule], seed, family_of(rule), [3, 1, 0, 2])
    assert close(backwards, forwards[[3, 1, 0, 2]], 1e-5)


@few
@given(seed=seeds, rule=st.sampled_from([name for name in EVERY if RULES[name].guided]))
def test_channels_that_are_not_guided_follow_the_strong_branch(tiny: Tiny, seed: int, rule: str) -> None:
    """After one step, where the state that branches see is still the same."""
    family = family_of(rule)
    name, networks = tiny(family, seed)
    parameters = tuple((k, 0.0 if k == "zero_steps" else v) for k, v in EVERY[rule].parameters)
    one = Sampler("euler", 1)

    def state(guidance: Guidance) -> Tensor:
        return final_state(cell(name, guidance, seed, one), networks, [0, 1], CPU)

    partly = state(EVERY[rule]._replace(channels=3, parameters=parameters))
    strong = state(Guidance("none", 1.0, EVERY[rule].gamma_strong))
    assert close(partly[:, 3:], strong[:, 3:], 1e-5)
    # Rules that look back do not guide the first step.
    waits = close(state(EVERY[rule]._replace(parameters=parameters)), strong, 1e-5)
    assert close(partly[:, :3], strong[:, :3], 1e-5) == waits
    assert waits == (rule in ("higs", "previous-step"))


# Functions over predictions

shapes = st.tuples(st.integers(1, 3), st.integers(1, 4), st.integers(2, 5), st.integers(2, 5))


def predictions(shape: tuple[int, ...], seed: int, count: int = 2) -> list[Tensor]:
    generator = torch.Generator().manual_seed(seed)
    return [torch.randn(shape, generator=generator, dtype=torch.float64) for _ in range(count)]


@given(shape=shapes, seed=st.integers(0, 1000), scale=scales)
def test_apg_with_eta_one_is_cfg_exactly_and_with_eta_zero_moves_across_only(
    shape: tuple[int, ...], seed: int, scale: float
) -> None:
    strong, weak = predictions(shape, seed)
    assert torch.allclose(by(project, strong, weak, scale, dict(PLAIN_APG)), combine(strong, weak, scale))
    across = by(project, strong, weak, scale, {**dict(PLAIN_APG), "eta": 0.0}) - strong
    assert torch.allclose((across * strong).sum((1, 2, 3)), torch.zeros(shape[0], dtype=torch.float64), atol=1e-8)


@given(shape=shapes, seed=st.integers(0, 1000), scale=scales, limit=st.floats(0.1, 2))
def test_apg_limits_the_difference_and_remembers_it(
    shape: tuple[int, ...], seed: int, scale: float, limit: float
) -> None:
    strong, weak = predictions(shape, seed)
    moved = by(project, strong, weak, scale, {**dict(PLAIN_APG), "norm_limit": limit}) - strong
    assert (moved.square().sum((1, 2, 3)).sqrt() <= (scale - 1) * limit * (1 + 1e-9)).all()
    memory: dict[str, Tensor] = {}
    settings_ = {**dict(PLAIN_APG), "momentum": -0.5}
    by(project, strong, weak, scale, settings_, memory)
    second = by(project, strong, weak, scale, settings_, memory)
    assert torch.allclose(second, strong + (scale - 1) * 0.5 * (strong - weak))


@given(shape=shapes, seed=st.integers(0, 1000), scale=scales)
def test_cfg_zero_is_cfg_where_its_factor_is_one(shape: tuple[int, ...], seed: int, scale: float) -> None:
    weak, other = predictions(shape, seed)
    dims = (1, 2, 3)
    along = (other * weak).sum(dims, keepdim=True) / weak.square().sum(dims, keepdim=True)
    strong = weak + other - along * weak
    assert torch.allclose(by(fit, strong, weak, scale), combine(strong, weak, scale))
    # And a weak prediction that is off by a factor only is put right.
    assert torch.allclose(by(fit, strong, 3 * weak, scale), combine(strong, weak, scale))


@given(shape=shapes, seed=st.integers(0, 1000), scale=scales)
def test_tangential_damping_projects_on_the_first_right_singular_vector(
    shape: tuple[int, ...], seed: int, scale: float
) -> None:
    """Against torch's singular value decomposition."""
    strong, weak = predictions(shape, seed)
    found = by(damp, strong, weak, scale)
    for index in range(shape[0]):
        pair = torch.stack([strong[index].flatten(), weak[index].flatten()])
        first = torch.linalg.svd(pair, full_matrices=False).Vh[0]
        damped = (pair[1] @ first) * first
        assert torch.allclose(found[index].flatten(), combine(pair[0], damped, scale))


@given(shape=shapes, seed=st.integers(0, 1000), share=st.floats(0, 1))
def test_rescale_moves_the_deviation_towards_the_strong_ones(shape: tuple[int, ...], seed: int, share: float) -> None:
    strong, guided = predictions(shape, seed)
    wanted = share * strong.std((1, 2, 3)) + (1 - share) * guided.std((1, 2, 3))
    assert torch.allclose(rescale(guided, strong, share).std((1, 2, 3)), wanted)
    assert torch.equal(rescale(guided, strong, 0.0), guided)


LEVELS: list[tuple[Prediction, float]] = [
    ("velocity", 0.3),
    ("velocity-from-noise", 0.8),
    ("edm", 2.0),
    ("epsilon", 400),
]


@pytest.mark.slow
@pytest.mark.parametrize(("kind", "level"), LEVELS)
@given(shape=shapes, seed=st.integers(0, 1000), scale=scales, strength=st.floats(0, 3))
def test_linear_rules_agree_in_every_space(
    kind: Prediction, level: float, shape: tuple[int, ...], seed: int, scale: float, strength: float
) -> None:
    """Native prediction or denoised image; the velocity is between the two for any kind."""
    x, strong, weak, perturbed = predictions(shape, seed, 4)
    native = add_perturbed_guidance(combine(strong, weak, scale), strong, perturbed, strength)
    images = [to_image(kind, prediction, x, level) for prediction in (strong, weak, perturbed)]
    through_images = add_perturbed_guidance(combine(images[0], images[1], scale), images[0], images[2], strength)
    assert torch.allclose(from_image(kind, through_images, x, level), native)
    velocities = [(x - image) / 0.5 for image in images]
    through_velocities = add_perturbed_guidance(
        combine(velocities[0], velocities[1], scale), velocities[0], velocities[2], strength
    )
    assert torch.allclose(x - 0.5 * through_velocities, through_images)


# Every rule with every sampler of every kind of model


@pytest.mark.slow
@pytest.mark.parametrize(
    ("family", "sampler"),
    [
        ("tread-sit", Sampler("euler", 4, shift=2.0)),
        ("tread-sit", Sampler("heun", 3)),
        ("sit", Sampler("euler-maruyama", 4)),
        ("ig-sit", Sampler("euler-maruyama", 4)),
        ("sprint", Sampler("euler", 4)),
        ("maskdit", Sampler("edm-heun", 3, churn=1.0)),
        ("dit", Sampler("ddim", 4)),
        ("dit", Sampler("ddpm", 4)),
        ("mdtv2", Sampler("ddpm", 4)),
    ],
    ids=lambda value: value if isinstance(value, str) else value.name,
)
@settings(max_examples=14, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    seed=st.integers(0, 3),
    rule=st.sampled_from(sorted(EVERY)),
    subset=st.sampled_from(["exact", "bernoulli", "fixed", "groups"]),
    when=st.sampled_from(["always", "progress 0.2 to 0.8", "noise 0.2 to 0.9"]),
    schedule=st.sampled_from(["constant", "power-cosine 4", "linear falling"]),
    steered=st.booleans(),
)
def test_a_cell_costs_what_fvcore_counts_of_the_calls_it_really_makes(
    tiny: Tiny,
    family: str,
    sampler: Sampler,
    seed: int,
    rule: str,
    subset: str,
    when: str,
    schedule: str,
    steered: bool,
) -> None:
    assume(not RULES[rule].drops_path or family == "sprint")
    assume(not RULES[rule].needs_inner or family == "ig-sit")
    assume(not RULES[rule].samplers or sampler.name in RULES[rule].samplers)
    assume(RULES[rule].space != "velocity" or family in ("tread-sit", "sit", "ig-sit", "sprint"))
    name, networks = tiny(family, seed)
    guidance = with_scale(EVERY[rule]) if steered else EVERY[rule]
    if subset == "groups" and not isinstance(guidance.gamma_weak, float):
        guidance = guidance._replace(gamma_weak=0.25)
    if guidance.gamma_strong or guidance.gamma_weak:
        guidance = guidance._replace(subset=subset)
    if RULES[rule].guided:
        guidance = guidance._replace(interval=interval(when), scale_schedule=scale_schedule(schedule))
    made: list[tuple[int, Perturbation | None, bool, int]] = []

    def note(module: torch.nn.Module, inputs: tuple[Any, ...], named: dict[str, bool]) -> None:
        x, tokens, perturbation = inputs[0], inputs[3], inputs[4]
        kept = networks.main.architecture.grid_tokens if tokens is None else tokens.shape[1]
        made.append((kept, perturbation, named.get("inner", False), len(x)))

    assert networks.auxiliary is not None
    both = (networks.main, networks.auxiliary)
    hooks = [network.register_forward_pre_hook(note, with_kwargs=True) for network in both]
    chosen, images = cell(name, guidance, seed, sampler), 2
    with torch.inference_mode():
        state, run_ = run_cell(chosen, networks, range(images), CPU)
    assert torch.isfinite(state).all()
    for hook in hooks:
        hook.remove()
    total = Macs(0, 0, 0)
    for kept, perturbation, inner, rows in made:
        total = total.plus(counted(networks.main, kept, perturbation, inner).times(rows))
    if may_stop(chosen):
        assert sum_of(*(stopped_macs(chosen, times) for times in run_.guided.tolist())) == total
    else:
        assert image_macs(chosen).times(images) == total
