"""What every family promises: its size, tokens that really leave, and an order of tokens that does not matter."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from sgbench.base.errors import UserError
from sgbench.models.architecture import Architecture, CaptionArchitecture
from sgbench.models.families import FAMILIES, family
from sgbench.models.families.mdtv2 import MDTv2Architecture
from sgbench.models.families.prx import prx_from_config
from sgbench.models.family import Request
from sgbench.networks.denoiser import Denoiser, build
from sgbench.networks.prx import PRX
from tests.letters import smallest

BATCH, GRID = 2, 36
SIZES = {"patch_size": 2, "in_channels": 3, "hidden_size": 24, "num_heads": 3, "num_classes": 5}
ROUTES = {"routes": [{"selection_ratio": 0.5, "start_layer_idx": 1, "end_layer_idx": 3}]}
SQUARE = {"input_size": 12, "depth": 5}
# The published constructors' arguments of a network of 36 tokens, routes forced on the dense ones.
CONFIGS: dict[str, dict[str, Any]] = {
    "tread-dit": {**SIZES, **SQUARE, **ROUTES},
    "tread-sit": {**SIZES, **SQUARE, **ROUTES},
    "sprint": {**SIZES, "context_size": 12, "encoder_depth": 1, "middle_depth": 3, "decoder_depth": 1},
    "maskdit": {**SIZES, **SQUARE, "decoder_hidden_size": 16, "decoder_depth": 2, "decoder_num_heads": 2},
    "mdtv2": {**SIZES, **SQUARE, "depth": 6, "decode_layer": 2},
    "microdit": {
        **{"input_size": 12, "patch_size": 2, "in_channels": 3, "dim": 24, "depth": 4, "head_dim": 4},
        **{"multiple_of": 8, "caption_channels": 10, "pos_interp_scale": 1.0, "use_bias": False},
        **{"qkv_multipliers": [1.0], "ffn_multipliers": [2.0], "patch_mixer_depth": 2, "patch_mixer_dim": 16},
        **{"patch_mixer_qkv_ratio": 1.0, "patch_mixer_mlp_ratio": 2.0},
        **{"num_experts": 4, "expert_capacity": 2.0, "experts_every_n": 2},
    },
    "prx": {
        **{"in_channels": 3, "patch_size": 2, "context_in_dim": 10, "hidden_size": 24, "mlp_ratio": 3.5},
        **{"num_heads": 3, "depth": 5, "axes_dim": [4, 4]},
    },
    "tr-dit": {
        **{key: value for key, value in SIZES.items() if key != "num_classes"},
        **{**SQUARE, "routes": [[1, 3]], "mlp_width": 40, "text_depth": 1, "caption_channels": 10},
    },
    "dit": {**SIZES, **SQUARE, **ROUTES},
    "sit": {**SIZES, **SQUARE, **ROUTES},
    "repa-sit": {**SIZES, **SQUARE, **ROUTES},
    "ig-sit": {**SIZES, **SQUARE, **ROUTES, "encoder_depth": 3},
}
# Stacks of blocks that see only the kept tokens, and those that see all; of a DiT, the blocks of its route.
SPARSE = {"sprint": ["middle_blocks"], "maskdit": ["blocks"], "mdtv2": ["en_inblocks", "en_outblocks"]}
DENSE = {
    "sprint": ["encoder_blocks", "decoder_blocks"],
    "maskdit": ["decoder_blocks"],
    "mdtv2": ["sideblocks", "de_blocks"],
    "microdit": ["patch_mixer"],
}
# MDTv2's side block runs only when something was masked, and MicroDiT's backbone is its `blocks`.
SPARSE["microdit"] = ["blocks"]


def tiny(name: str) -> Architecture:
    if name == "prx":
        # A pipeline's configuration says nothing of the resolution and of routes.
        return prx_from_config(CONFIGS[name], 96, ((1, 3),))
    return FAMILIES[name].from_config(CONFIGS[name])


def network(name: str) -> Denoiser:
    """A tiny network in which every parameter matters: freshly made ones put out nothing but zeros."""
    made = build(tiny(name)).eval().requires_grad_(False)
    for number, parameter in enumerate(made.parameters()):
        parameter.normal_(std=0.2, generator=torch.Generator().manual_seed(number))
    return made


def inputs(a: Architecture, device: str = "cpu") -> tuple[Tensor, Tensor, Tensor]:
    generator = torch.Generator().manual_seed(7)
    x = torch.randn(BATCH, *a.sample_shape, generator=generator).to(device)
    condition = torch.tensor([0, 3])
    if isinstance(a, CaptionArchitecture):
        condition = torch.randn(BATCH, 5, a.caption_channels, generator=generator)
    return x, torch.tensor([0.2, 0.9], device=device), condition.to(device)


def subset(grid: int, kept: int, seed: int = 0) -> Tensor:
    return torch.stack(
        [torch.randperm(grid, generator=torch.Generator().manual_seed(seed + b))[:kept] for b in range(BATCH)]
    )


def tokens_seen(made: Denoiser, tokens: Tensor | None, device: str = "cpu") -> dict[str, list[int]]:
    """How many tokens each block of each stack was given, in the order of the calls."""
    seen: dict[str, list[int]] = {}
    hooks = []
    for stack, blocks in stacks(made).items():
        seen[stack] = calls = []
        hooks += [block.register_forward_pre_hook(partial(_note, calls), with_kwargs=True) for block in blocks]
    with torch.no_grad():
        made(*inputs(made.architecture, device), None if tokens is None else tokens.to(device))
    for hook in hooks:
        hook.remove()
    return seen


def _note(calls: list[int], _: torch.nn.Module, args: tuple[Tensor, ...], named: Mapping[str, Tensor]) -> None:
    # diffusers names all arguments of a block.
    calls.append((args[0] if args else named["hidden_states"]).shape[1])


def expected_sparse(name: str, a: Architecture, kept: int) -> dict[str, list[int]]:
    """How many tokens each block should see at `kept` tokens."""
    with torch.device("meta"):
        depths = {stack: len(blocks) for stack, blocks in stacks(build(a)).items()}
    if name in SPARSE:
        seen = {stack: [kept] * depths[stack] for stack in SPARSE[name]}
        return seen | {stack: [a.grid_tokens] * depths[stack] for stack in DENSE[name]}
    ((first, last),) = a.routes  # type: ignore[union-attr]
    return {"blocks": [kept if first <= index <= last else a.grid_tokens for index in range(depths["blocks"])]}


def stacks(made: Denoiser) -> Mapping[str, torch.nn.ModuleList]:
    """The stacks of blocks by name; PRX keeps its blocks where they are routed."""
    children = (made.routed if isinstance(made, PRX) else made).named_children()
    return {name: child for name, child in children if isinstance(child, torch.nn.ModuleList)}


# Sizes


@pytest.mark.parametrize("name", ["dit", "sit", "tread-dit", "tread-sit", "repa-sit"])
@pytest.mark.parametrize(("letter", "millions"), [("S", 32.9), ("B", 130.3), ("L", 457.8), ("XL", 674.8)])
def test_published_sizes_have_their_number_of_parameters(name: str, letter: str, millions: float) -> None:
    """Of DiT and SiT at 256 pixels, patch 2, without the fixed position embedding."""
    with torch.device("meta"):
        made = build(FAMILIES[name].sized(Request(letter, 2, 32, None)))
    learned = sum(parameter.numel() for parameter in made.parameters() if parameter.requires_grad)
    assert learned / 1e6 == pytest.approx(millions, abs=0.05)


def test_the_published_microdit_has_its_number_of_parameters() -> None:
    with torch.device("meta"):
        made = build(FAMILIES["microdit"].sized(Request("XL", 2, 64, None)))
    assert sum(parameter.numel() for parameter in made.parameters()) / 1e9 == pytest.approx(1.16, abs=0.01)


def test_the_described_tr_dit_has_its_number_of_parameters_and_its_route() -> None:
    """TR-DiT-2.5B of arXiv 2601.01608; the paper prints no more digits."""
    with torch.device("meta"):
        made = build(FAMILIES["tr-dit"].sized(Request("XL", 2, 64, None)))
    assert round(sum(parameter.numel() for parameter in made.parameters()) / 1e9, 1) == 2.5
    assert tokens_seen(made, subset(1024, 205), "meta") == {"blocks": [1024] * 2 + [205] * 29 + [1024] * 3}


def test_routes_and_depths_are_the_published_ones() -> None:
    def sized(name: str, letter: str) -> Any:
        return FAMILIES[name].sized(Request(letter, 2, 32, None))

    for name in ("tread-dit", "tread-sit"):
        assert [sized(name, letter).routes for letter in ("B", "XL")] == [((2, 8),), ((2, 24),)]
    assert [sized(name, "XL").routes for name in ("dit", "sit", "repa-sit", "ig-sit")] == [()] * 4
    sprint, maskdit, mdtv2 = (sized(name, "XL") for name in ("sprint", "maskdit", "mdtv2"))
    assert (sprint.encoder_depth, sprint.middle_depth, sprint.decoder_depth) == (2, 24, 2)
    assert (maskdit.decoder_hidden_size, maskdit.decoder_depth, maskdit.decoder_num_heads) == (512, 8, 16)
    assert (mdtv2.encoder_half_depth, mdtv2.decoder_depth) == (12, 4)


def test_an_unknown_family_is_named_with_a_suggestion() -> None:
    with pytest.raises(UserError, match=r"there is no model family 'masdit', did you mean 'maskdit'\?") as caught:
        family("masdit")
    assert "repa-sit" in str(caught.value)


# Sparsity


@pytest.mark.slow
@pytest.mark.parametrize("name", FAMILIES)
def test_a_network_of_the_smallest_size_drops_tokens_where_its_family_says(name: str) -> None:
    """Shapes alone, on the meta device: 16 tokens, 5 of them kept."""
    routes = ((2, 8),) if name in ("dit", "sit", "repa-sit", "ig-sit") else None
    with torch.device("meta"):
        made = build(FAMILIES[name].sized(Request(smallest(name), 2, 8, routes))).eval()
    a = made.architecture
    assert a.grid_tokens == 16
    assert tokens_seen(made, subset(16, 5), "meta") == expected_sparse(name, a, 5)


@pytest.mark.parametrize("name", FAMILIES)
def test_a_sparse_call_computes_on_the_kept_tokens_only(name: str) -> None:
    made = network(name)
    assert tokens_seen(made, subset(GRID, 9)) == expected_sparse(name, made.architecture, 9)
    dense = tokens_seen(made, None)
    assert {count for calls in dense.values() for count in calls} == {GRID}
    assert dense.get("sideblocks", []) == []


@pytest.mark.slow
@pytest.mark.parametrize("name", FAMILIES)
@settings(max_examples=10, deadline=None)
@given(kept=st.integers(1, GRID), seed=st.integers(0, 1000))
@torch.no_grad()
def test_the_order_of_the_kept_tokens_does_not_matter(name: str, kept: int, seed: int) -> None:
    # In float64: rounding may tip an expert of MicroDiT to another token where two score alike.
    made = network(name).double()
    x, t, condition = inputs(made.architecture)
    condition = condition.double() if condition.is_floating_point() else condition
    tokens = subset(GRID, kept, seed)
    first = made(x.double(), t, condition, tokens)
    second = made(x.double(), t, condition, tokens.sort(dim=1).values)
    assert torch.allclose(first, second, atol=1e-10 * float(first.abs().max()))


@torch.no_grad()
def test_the_null_condition_of_maskdit_is_no_embedding() -> None:
    made = network("maskdit")
    x, t, _ = inputs(made.architecture)
    null = made(x, t, torch.tensor([5, 5]))
    made.y_embedder.embedding_table.weight.zero_()
    assert torch.equal(made(x, t, torch.tensor([0, 3])), null)


@torch.no_grad()
def test_masked_patches_of_microdit_come_out_as_zeros() -> None:
    made = network("microdit")
    tokens = torch.tensor([[0, 7], [35, 6]])
    out = made(*inputs(made.architecture), tokens)
    patches = torch.nn.functional.unfold(out, 2, stride=2).abs().sum(dim=1)
    assert [sorted(row.nonzero().flatten().tolist()) for row in patches] == [[0, 7], [6, 35]]


@torch.no_grad()
def test_a_sprint_that_keeps_no_token_runs_no_middle_block() -> None:
    made = network("sprint")
    seen = tokens_seen(made, torch.zeros(BATCH, 0, dtype=torch.long))
    assert seen == {"encoder_blocks": [GRID], "middle_blocks": [], "decoder_blocks": [GRID]}
    without = made(*inputs(made.architecture), torch.zeros(BATCH, 0, dtype=torch.long))
    for parameter in made.middle_blocks.parameters():
        parameter.fill_(float("nan"))
    assert torch.equal(made(*inputs(made.architecture), torch.zeros(BATCH, 0, dtype=torch.long)), without)
    made.mask_token.add_(1)
    assert not torch.equal(made(*inputs(made.architecture), torch.zeros(BATCH, 0, dtype=torch.long)), without)


# Precision


@pytest.mark.parametrize("name", FAMILIES)
@torch.no_grad()
def test_bfloat16_autocast_gives_nearly_the_same(name: str) -> None:
    made = network(name)
    # Smaller weights than elsewhere here, nearer to those of trained networks, keep rounding small beside the signal.
    for parameter in made.parameters():
        parameter.mul_(0.3)
    nothing = [torch.zeros(BATCH, 0, dtype=torch.long)] if name == "sprint" else []
    for tokens in (None, subset(GRID, 9), *nothing):
        exact = made(*inputs(made.architecture), tokens)
        with torch.autocast("cpu", torch.bfloat16):
            rounded = made(*inputs(made.architecture), tokens).float()
        assert rounded.shape == exact.shape
        error = float((rounded - exact).abs().max() / exact.abs().max())
        assert 0 < error < 0.05


def test_mdtv2_fills_in_with_the_side_block_only_where_tokens_were_masked() -> None:
    """Kept tokens pass by the side block: without any other token left, its weights do not matter."""
    made = network("mdtv2")
    assert isinstance(made.architecture, MDTv2Architecture)
    every = subset(GRID, GRID)
    with torch.no_grad():
        before = made(*inputs(made.architecture), every)
        some = made(*inputs(made.architecture), subset(GRID, 9))
        for parameter in made.sideblocks.parameters():
            parameter.mul_(2)
        assert torch.equal(made(*inputs(made.architecture), every), before)
        assert not torch.equal(made(*inputs(made.architecture), subset(GRID, 9)), some)
