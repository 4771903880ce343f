"""PRX by diffusers' own class: the plain network when dense, fewer tokens when routed."""

from __future__ import annotations

import copy
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError
from torch import Tensor

from sgbench.base.errors import UserError
from sgbench.guidance.rules.perturbed_attention import IdentityAttention
from sgbench.guidance.rules.skip_layers import SkippedBlocks
from sgbench.models.families.prx import PRXArchitecture, prx_from_config
from sgbench.networks.prx import PRX, random_prx, with_mask

diffusers = pytest.importorskip("diffusers", reason="the extra hf is not installed")
CONFIG: dict[str, Any] = {
    "_class_name": "PRXTransformer2DModel", "_diffusers_version": "0.36.0", "in_channels": 4, "patch_size": 2,
    "context_in_dim": 12, "hidden_size": 16, "mlp_ratio": 3.5, "num_heads": 2, "depth": 4, "axes_dim": [4, 4],
    "theta": 10000, "time_factor": 1000.0, "time_max_period": 10000, "bottleneck_size": None,
}  # fmt: skip
TINY = prx_from_config(CONFIG, 64, ((1, 2),), caption_tokens=5)
LARGER = TINY.model_copy(update={"bottleneck_size": 6, "resolution_embeds": True})
GRID = TINY.grid_tokens


def network(architecture: PRXArchitecture = TINY) -> PRX:
    """With every parameter moved: modulation starts at zero and would hide the blocks."""
    built = random_prx(architecture).eval().requires_grad_(False)
    generator = torch.Generator().manual_seed(0)
    for parameter in built.parameters():
        parameter.normal_(std=0.2, generator=generator)
    return built


def inputs(seed: int = 0) -> tuple[Tensor, Tensor, Tensor]:
    generator = torch.Generator().manual_seed(seed)
    words = torch.randn(2, 5, 12, generator=generator)
    mask = torch.tensor([[1, 1, 1, 0, 0], [1, 1, 1, 1, 1]])
    return torch.randn(2, 4, 8, 8, generator=generator), torch.tensor([0.2, 0.9]), with_mask(words, mask)


@pytest.mark.parametrize("architecture", [TINY, LARGER])
def test_the_dense_pass_is_diffusers_own_bit_for_bit(architecture: PRXArchitecture) -> None:
    wrapped = network(architecture)
    plain = copy.deepcopy(wrapped.transformer)
    plain.blocks = plain.blocks[0].blocks
    x, t, condition = inputs()
    words, mask = condition[..., :12], condition[..., 12].bool()
    expected = plain(x, t, words, mask).sample
    assert torch.equal(wrapped(x, t, condition), expected)
    assert torch.equal(wrapped(x, t, condition, torch.arange(GRID).expand(2, -1)), expected)
    assert torch.equal(wrapped(x, t, words), plain(x, t, words).sample)
    assert not torch.equal(expected, plain(x, t, words).sample)


@settings(max_examples=10, deadline=None)
@given(order=st.permutations(range(GRID)), seed=st.integers(0, 99))
def test_keeping_every_token_is_the_dense_pass_in_any_order(order: list[int], seed: int) -> None:
    wrapped = network()
    dense = wrapped(*inputs(seed))
    found = wrapped(*inputs(seed), torch.tensor([order, order[::-1]]))
    assert torch.allclose(found, dense, atol=1e-5 * float(dense.abs().max()))


def test_the_order_of_kept_tokens_means_nothing() -> None:
    # It would if rotary positions were not gathered with the tokens.
    wrapped = network()
    kept = torch.tensor([[0, 5, 9], [1, 2, 15]])
    found = wrapped(*inputs(), kept)
    assert torch.allclose(wrapped(*inputs(), kept.flip(1)), found, atol=1e-5 * float(found.abs().max()))
    assert not torch.allclose(found, wrapped(*inputs()), atol=0.1)


def test_routed_blocks_see_kept_tokens_and_every_word() -> None:
    wrapped = network()
    seen: list[tuple[int, int]] = []
    for block in wrapped.routed.blocks:
        block.attention.register_forward_hook(
            lambda _, __, given, ___: seen.append(
                (given["hidden_states"].shape[1], given["encoder_hidden_states"].shape[1])
            ),
            with_kwargs=True,
        )
    wrapped(*inputs(), torch.tensor([[0, 5, 9], [1, 2, 15]]))
    assert seen == [(GRID, 5), (3, 5), (3, 5), (GRID, 5)]


def test_one_time_and_one_condition_serve_all_samples() -> None:
    wrapped = network(LARGER)
    x, _, condition = inputs()
    shared = wrapped(x, torch.tensor([0.3]), condition[:1])
    apart = wrapped(x, torch.tensor([0.3, 0.3]), condition[:1].expand(2, -1, -1))
    assert torch.allclose(shared, apart, atol=1e-5)


def test_padding_is_not_read() -> None:
    wrapped = network()
    x, t, condition = inputs()
    other = condition.clone()
    other[0, 3:, :12] = 7
    assert torch.equal(wrapped(x, t, other), wrapped(x, t, condition))


def test_a_call_leaves_nothing_behind() -> None:
    wrapped = network()
    dense = wrapped(*inputs())
    wrapped(*inputs(), torch.tensor([[0], [1]]), SkippedBlocks((1,)))
    assert torch.equal(wrapped.transformer(*inputs()[:2], inputs()[2][..., :12], inputs()[2][..., 12] > 0)[0], dense)


def test_skipping_every_block_leaves_patches_alone_with_the_time() -> None:
    wrapped = network()
    x, t, condition = inputs()
    skipped = wrapped(x, t, condition, perturbation=SkippedBlocks((0, 1, 2, 3)))
    assert torch.equal(skipped, wrapped(x, t, condition * 2, perturbation=SkippedBlocks((0, 1, 2, 3))))
    assert not torch.equal(skipped, wrapped(x, t, condition))


@pytest.mark.full
def test_the_routed_network_compiles_as_one_graph() -> None:
    wrapped = network()
    kept = torch.tensor([[0, 5, 9], [1, 2, 15]])
    expected = wrapped(*inputs(), kept)
    compiled = torch.compile(wrapped, backend="eager", fullgraph=True, dynamic=False)
    assert torch.allclose(compiled(*inputs(), kept), expected, atol=1e-5)
    assert torch.allclose(compiled(*inputs()), wrapped(*inputs()), atol=1e-5)


def test_a_perturbed_attention_is_refused() -> None:
    with pytest.raises(UserError, match=r"attention of PRX cannot be perturbed; choose a rule that skips blocks"):
        network()(*inputs(), perturbation=IdentityAttention((1,)))


def test_words_of_another_encoder_are_refused() -> None:
    x, t, _ = inputs()
    with pytest.raises(UserError, match="the captions have 7 channels and the network reads 12"):
        network()(x, t, torch.zeros(1, 5, 7))


def test_the_record_says_what_the_configuration_says() -> None:
    assert (TINY.grid_tokens, TINY.blocks, TINY.mlp_width, TINY.out_channels) == (16, 4, 56, 4)
    assert TINY.sample_shape == (4, 8, 8)
    built = random_prx(LARGER).transformer.config
    assert {key: built[key] for key in CONFIG if not key.startswith("_")} == {
        **{key: value for key, value in CONFIG.items() if not key.startswith("_")},
        "bottleneck_size": 6,
    }


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"patch_size": 3}, "not a multiple of patch_size"),
        ({"num_heads": 3}, "not a multiple of num_heads"),
        ({"axes_dim": [4, 2]}, "do not add up to the head width 8"),
        ({"axes_dim": [5, 3]}, "are not even"),
        ({"guidance_embeds": True}, "Extra inputs are not permitted"),
        ({"depth": 2}, "overlaps another or leaves blocks"),
    ],
)
def test_sizes_that_do_not_fit_are_refused(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(ValidationError, match=message):
        prx_from_config(CONFIG | changes, 64, ((1, 2),))


def test_a_resolution_between_latents_is_refused() -> None:
    with pytest.raises(ValueError, match="resolution 60 is not a multiple of 8"):
        prx_from_config(CONFIG, 60, ())
