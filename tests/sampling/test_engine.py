"""Images are a pure function of (cell, index), and rules that should agree do so bit for bit."""

from __future__ import annotations

import platform
from collections.abc import Callable
from functools import cache

import pytest
import torch

from sgbench.base.errors import UserError
from sgbench.cells.cell import Cell
from sgbench.cells.closed_form import kept_macs
from sgbench.cost.macs import count_kept
from sgbench.guidance import RULES
from sgbench.guidance.settings import Guidance
from sgbench.samplers.clocks import flow_times
from sgbench.samplers.methods.euler import sample_euler
from sgbench.samplers.settings import Sampler
from sgbench.sampling.conditions import labels_for
from sgbench.sampling.engine import final_state, group_size, sample
from sgbench.sampling.networks import Networks, compile_network, keep_freed_memory, load_networks
from tests import tiny_model
from tests.every_rule import EVERY, with_scale

CPU = torch.device("cpu")
# Images of the embedded models that a CPU draws together.
GROUP = group_size(64)
# The models here have no path to drop and no inner head.
SERVED = [guidance for name, guidance in EVERY.items() if not (RULES[name].drops_path or RULES[name].needs_inner)]
GUIDANCES = list(dict.fromkeys([*SERVED, *map(with_scale, SERVED)]))


def cell(guidance: Guidance, model: str = tiny_model.NAME, steps: int = 2, dtype: str = "float32") -> Cell:
    return Cell(model, guidance, Sampler("euler", steps), 5, "balanced", dtype)


@cache
def networks_of_model(model: str) -> Networks:
    """Both checkpoints of a model, for cells of any rule."""
    return load_networks(cell(Guidance("ag", 2.0), model), True, CPU)


def networks_of(chosen: Cell, device: torch.device = CPU) -> Networks:
    return load_networks(chosen, RULES[chosen.guidance.rule].needs_auxiliary, device)


def draw(chosen: Cell, indices: list[int]) -> torch.Tensor:
    return sample(chosen, networks_of(chosen), indices, CPU).images


@pytest.mark.slow
@pytest.mark.parametrize(
    ("guidance", "dtype"),
    [*((guidance, "float32") for guidance in GUIDANCES), (EVERY["cfg"], "bfloat16"), (EVERY["cfg+sg"], "bfloat16")],
    ids=lambda value: value.rule if isinstance(value, Guidance) else value,
)
def test_what_is_drawn_with_it_does_not_change_an_image(guidance: Guidance, dtype: str) -> None:
    """Bit for bit, across the border between two groups too."""
    chosen = cell(guidance, dtype=dtype)
    together = draw(chosen, list(range(GROUP + 3)))
    assert torch.equal(draw(chosen, [6, 2]), together[[6, 2]])
    assert torch.equal(draw(chosen, [GROUP + 1, 3]), together[[GROUP + 1, 3]])


@pytest.mark.slow
@pytest.mark.parametrize("model", ["fashion-routing", "fashion-masking", "fashion-dense"])
@pytest.mark.parametrize("guidance", GUIDANCES, ids=lambda g: g.rule)
def test_every_rule_runs_on_every_model(model: str, guidance: Guidance) -> None:
    state = final_state(cell(guidance, model), networks_of_model(model), [0, 1], CPU)
    assert state.shape == (2, 1, 32, 32)
    assert torch.isfinite(state).all()
    assert not torch.equal(state[0], state[1])


@pytest.mark.slow
def test_cfg_sg_at_gamma_zero_is_cfg_bit_for_bit() -> None:
    assert torch.equal(
        draw(cell(Guidance("cfg+sg", 2.0, 0, 0)), [0, 4]), draw(cell(Guidance("cfg", 2.0, 0, 0)), [0, 4])
    )


@pytest.mark.slow
def test_ag_sg_at_gamma_zero_is_ag_bit_for_bit() -> None:
    assert torch.equal(draw(cell(Guidance("ag+sg", 2.0, 0, 0)), [0, 4]), draw(cell(Guidance("ag", 2.0, 0, 0)), [0, 4]))


@pytest.mark.slow
@pytest.mark.parametrize("rule", ["cfg", "icg", "ag", "sg", "cfg+sg", "ag+sg"])
def test_scale_one_is_the_strong_branch_alone(rule: str) -> None:
    plain = draw(cell(Guidance("none", 1.0, 0, 0)), [0, 1, 2])
    guided = draw(cell(Guidance(rule, 1.0, 0, 0.7 if "sg" in rule else 0)), [0, 1, 2])
    assert torch.equal(plain, guided)


@pytest.mark.slow
def test_autoguidance_by_the_same_checkpoint_is_no_guidance() -> None:
    networks = networks_of(cell(Guidance("none", 1.0, 0, 0)))
    same = networks._replace(auxiliary=networks.main)
    guided = sample(cell(Guidance("ag", 3.0, 0, 0)), same, [0, 1], CPU).images
    assert torch.equal(guided, draw(cell(Guidance("none", 1.0, 0, 0)), [0, 1]))


@pytest.mark.slow
def test_rules_change_the_image() -> None:
    images = [draw(cell(g, steps=3), [0]) for g in [Guidance("none", 1.0, 0, 0), *GUIDANCES]]
    distinct = {image.numpy().tobytes() for image in images}
    assert len(distinct) == len(images)


def test_a_prediction_that_is_not_finite_is_named() -> None:
    chosen = cell(Guidance("none", 1.0, 0, 0))
    networks = networks_of(chosen)
    networks.main.final_layer.linear.bias.fill_(float("nan"))
    with pytest.raises(UserError, match=r"fashion-tiny none 2 steps: the denoiser's prediction is not finite"):
        sample(chosen, networks, [0], CPU)


def test_labels_follow_the_index() -> None:
    assert labels_for(cell(EVERY["none"]), [0, 13, 29]).tolist() == [0, 3, 9]


def test_euler_is_exact_where_velocity_is_constant() -> None:
    start = torch.ones(2, 3)
    assert torch.allclose(sample_euler(lambda x, t, step: torch.full_like(x, 2.0), start, flow_times(7)), start - 2)


def test_euler_visits_times_from_one_downwards() -> None:
    seen: list[tuple[float, int]] = []

    def velocity(x: torch.Tensor, t: float, step: int) -> torch.Tensor:
        seen.append((t, step))
        return x

    sample_euler(velocity, torch.zeros(1), flow_times(4))
    assert seen == [(1.0, 0), (0.75, 1), (0.5, 2), (0.25, 3)]


@pytest.mark.cuda
def test_cuda_draws_nearly_the_same_images() -> None:
    device = torch.device("cuda")
    chosen = cell(Guidance("sg", 2.0, 0.0, 0.7))
    there = sample(chosen, networks_of(chosen, device), [0, 1, 2], device).images.int()
    assert (there - draw(chosen, [0, 1, 2]).int()).abs().float().mean() < 1


@pytest.mark.cuda
@pytest.mark.parametrize("guidance", [g for g in GUIDANCES if RULES[g.rule].stop is None], ids=lambda g: g.rule)
def test_on_cuda_nobody_waits_inside_the_step_loop(guidance: Guidance) -> None:
    """But under a rule that stops guidance: which images go on decides what is called next."""
    device = torch.device("cuda")
    chosen = cell(guidance, steps=3)
    networks = networks_of(chosen, device)
    final_state(chosen, networks, [0, 1], device)
    torch.cuda.set_sync_debug_mode("error")
    try:
        final_state(chosen, networks, [0, 1], device)
    finally:
        torch.cuda.set_sync_debug_mode("default")


# Compilation


@pytest.mark.full
def test_a_compiled_network_predicts_nearly_the_same(tiny: Callable[[str, int], tuple[str, Networks]]) -> None:
    name, networks = tiny("tread-sit", 1)
    plain = Cell(name, Guidance("none"), Sampler("euler", 1), 0, "balanced", "float32")
    expected = final_state(plain, networks, [0, 1], CPU)
    compile_network(networks.main, "default", CPU)
    assert networks.main._compiled_call_impl is not None
    found = final_state(plain, networks, [0, 1], CPU)
    assert torch.allclose(found, expected, atol=1e-4 * float(expected.abs().max()))
    # What it costs is counted on the network as it was written.
    grid = networks.main.architecture.grid_tokens
    assert count_kept(networks.main, grid) == kept_macs(networks.main.architecture, grid)
    assert networks.main._compiled_call_impl is not None


@pytest.mark.cuda
@pytest.mark.parametrize("guidance", [EVERY["cfg"], EVERY["sg"], EVERY["slg"]], ids=lambda g: g.rule)
def test_cuda_graphs_draw_nearly_the_same_images(guidance: Guidance) -> None:
    device = torch.device("cuda")
    plain = cell(guidance)
    graphs = plain._replace(compile="cuda-graphs")
    expected = sample(plain, networks_of(plain, device), [0, 1, 2], device).images.int()
    found = sample(graphs, networks_of(graphs, device), [0, 1, 2], device).images.int()
    assert (found - expected).abs().float().mean() < 1


def test_cuda_graphs_need_cuda() -> None:
    chosen = cell(Guidance("none"))._replace(compile="cuda-graphs")
    with pytest.raises(UserError, match="CUDA graphs need a CUDA device, and this is cpu"):
        load_networks(chosen, False, CPU)


def test_glibc_agrees_and_other_libraries_are_left_alone() -> None:
    assert keep_freed_memory() == (platform.libc_ver()[0] == "glibc")
