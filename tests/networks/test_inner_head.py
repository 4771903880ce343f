"""The inner head of a DiT: a second prediction of the same call, which leaves the first as it is."""

from __future__ import annotations

import pytest
import torch
from pydantic import ValidationError
from torch import Tensor

from sgbench.cells.closed_form import kept_macs
from sgbench.cost.macs import count_kept
from sgbench.guidance.perturbation import Perturbation
from sgbench.guidance.rules.perturbed_attention import IdentityAttention
from sgbench.guidance.rules.skip_layers import SkippedBlocks
from sgbench.models.families import FAMILIES, recognise
from sgbench.models.families.dit import DiTArchitecture
from sgbench.models.family import Request
from sgbench.networks.denoiser import Denoiser, build

SIZES = {
    "input_size": 8, "patch_size": 2, "in_channels": 2, "hidden_size": 16, "depth": 5, "num_heads": 2, "num_classes": 3,
}  # fmt: skip
GRID = 16
KEPT = torch.tensor([[0, 5, 9], [15, 2, 1]])
EVERY = torch.stack([torch.randperm(GRID, generator=torch.Generator().manual_seed(seed)) for seed in (1, 2)])
BLOCKS = range(5)


def network(inner: int | None, routes: tuple[tuple[int, int], ...] = ((1, 3),), depth: int = 5) -> Denoiser:
    """With the same weights whatever its head, routes and depth: every parameter by its name."""
    made = build(DiTArchitecture(**{**SIZES, "depth": depth}, out_channels=2, routes=routes, inner_block=inner)).eval()
    for name, parameter in made.named_parameters():
        parameter.requires_grad_(False).normal_(
            std=0.3, generator=torch.Generator().manual_seed(sum(map(ord, name.replace("_xr", ""))))
        )
    return made


def inputs() -> tuple[Tensor, Tensor, Tensor]:
    x = torch.randn(2, 2, 8, 8, generator=torch.Generator().manual_seed(0))
    return x, torch.tensor([0.2, 0.9]), torch.tensor([0, 2])


@pytest.mark.parametrize("tokens", [None, KEPT], ids=["dense", "sparse"])
@pytest.mark.parametrize("change", [None, IdentityAttention((1, 2)), SkippedBlocks((2,))], ids=str)
@pytest.mark.parametrize("inner", BLOCKS)
def test_the_last_layer_predicts_as_without_a_head(
    inner: int, change: Perturbation | None, tokens: Tensor | None
) -> None:
    plain = network(None)(*inputs(), tokens, change)
    made = network(inner)
    assert torch.equal(made(*inputs(), tokens, change), plain)
    output, within = made(*inputs(), tokens, change, inner=True)
    assert torch.equal(output, plain)
    assert within.shape == output.shape
    assert torch.equal(within, output) == (inner == 4)


@pytest.mark.parametrize("inner", BLOCKS)
def test_the_head_is_the_last_layer_of_a_network_that_ends_there(inner: int) -> None:
    """The two last layers have the same weights here."""
    _, within = network(inner, ())(*inputs(), inner=True)
    assert torch.equal(within, network(None, (), inner + 1)(*inputs()))


@pytest.mark.parametrize("inner", BLOCKS)
def test_on_a_route_the_head_sees_waiting_tokens_as_they_wait(inner: int) -> None:
    """As a network does whose route ends with the head's block, and whose last block it is."""
    routes = () if inner < 1 else ((1, min(inner, 3)),)
    _, within = network(inner)(*inputs(), KEPT, inner=True)
    assert torch.equal(within, network(None, routes, inner + 1)(*inputs(), KEPT))
    dense, gathered = (network(inner)(*inputs(), tokens, inner=True)[1] for tokens in (None, EVERY))
    assert torch.allclose(dense, gathered, atol=1e-4 * float(dense.abs().max()))


@pytest.mark.parametrize("inner", [0, 2, 4])
@pytest.mark.parametrize("kept", [3, GRID])
def test_the_head_costs_what_fvcore_counts(kept: int, inner: int) -> None:
    made = network(inner)
    a, change = made.architecture, SkippedBlocks((2,))
    asked, plain = count_kept(made, kept, inner=True), count_kept(made, kept)
    assert (asked, plain) == (kept_macs(a, kept, inner=True), kept_macs(a, kept))
    # A modulated norm, and 16 numbers to the 8 of a patch, for all tokens.
    assert asked.macs - plain.macs == 2 * 16 * 16 + GRID * 16 * 8 + 4 * GRID * 16
    assert count_kept(made, kept, change, inner=True) == kept_macs(a, kept, change, inner=True)
    assert plain == kept_macs(network(None).architecture, kept)


@pytest.mark.slow
def test_a_compiled_network_predicts_the_same() -> None:
    made = network(2)
    plain, pair = made(*inputs(), KEPT), made(*inputs(), KEPT, inner=True)
    made.compile(dynamic=False)
    assert torch.allclose(made(*inputs(), KEPT), plain, atol=1e-4)
    for found, expected in zip(made(*inputs(), KEPT, inner=True), pair, strict=True):
        assert torch.allclose(found, expected, atol=1e-4)


def test_a_new_head_predicts_nothing_as_the_last_layer_does() -> None:
    made = build(DiTArchitecture(**SIZES, out_channels=2, inner_block=1))
    assert [output.abs().max() for output in made(*inputs(), inner=True)] == [0, 0]


def test_the_head_of_the_published_sizes_is_after_the_eighth_block() -> None:
    """`encoder_depth` of the published constructor counts blocks from 1."""
    for letter in ("S", "B", "L", "XL"):
        assert FAMILIES["ig-sit"].sized(Request(letter, 2, 32, None)).inner_block == 7
    config = {**SIZES, "encoder_depth": 4}
    assert recognise(config, learned_sigma=False).name == "ig-sit"
    assert recognise({**config, "z_dims": [8]}, learned_sigma=False).name == "repa-sit"
    assert FAMILIES["ig-sit"].from_config(config).inner_block == 3
    with torch.device("meta"):
        made, repa = (build(FAMILIES[name].sized(Request("XL", 2, 32, None))) for name in ("ig-sit", "repa-sit"))
    parameters = dict(made.named_parameters())
    extra = {name: p.numel() for name, p in parameters.items() if name.startswith("final_layer_xr")}
    assert sum(extra.values()) == 2 * 1152 * 1152 + 2 * 1152 + 1152 * 16 + 16
    assert made.state_dict().keys() - extra.keys() == repa.state_dict().keys()
    assert [a.has_inner_head for a in (made.architecture, repa.architecture)] == [True, False]


def test_a_head_outside_the_network_is_refused() -> None:
    with pytest.raises(ValidationError, match=r"an inner head after block 5 is outside blocks 0\.\.4"):
        DiTArchitecture(**SIZES, out_channels=2, inner_block=5)
