"""The text-to-image DiT of drawn shapes: routed patches, words that always stay, perturbations that spare them."""

from __future__ import annotations

import math
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError
from torch import Tensor

from sgbench.guidance.perturbation import Perturbation
from sgbench.guidance.rules.perturbed_attention import IdentityAttention
from sgbench.guidance.rules.skip_layers import SkippedBlocks
from sgbench.guidance.rules.smoothed_energy import BlurredQueries, blur_queries
from sgbench.models.embedded import TextDiTArchitecture, load_recipe
from sgbench.networks.denoiser import build
from sgbench.networks.layers import attend
from sgbench.networks.textdit import TextDiT

SIZES: dict[str, Any] = {
    "input_size": 12, "patch_size": 2, "in_channels": 3, "hidden_size": 24, "depth": 5, "num_heads": 3, "words": 9,
    "caption_tokens": 4, "text_depth": 2, "time_scale": 1000.0,
}  # fmt: skip
TINY = TextDiTArchitecture(**SIZES, routes=((1, 3),))
TWICE = TextDiTArchitecture(**SIZES, routes=((0, 1), (3, 4)))
GRID, WORDS, BATCH = 36, 4, 2
NULL = torch.zeros(1, WORDS, dtype=torch.long)


def network(a: TextDiTArchitecture = TINY) -> TextDiT:
    """With every parameter moved: modulation and output start at zero and would hide everything."""
    made = build(a).eval().requires_grad_(False)
    assert isinstance(made, TextDiT)
    for number, parameter in enumerate(made.parameters()):
        parameter.normal_(std=0.2, generator=torch.Generator().manual_seed(number))
    return made


def inputs(seed: int = 7) -> tuple[Tensor, Tensor, Tensor]:
    generator = torch.Generator().manual_seed(seed)
    x = torch.randn(BATCH, *TINY.sample_shape, generator=generator)
    return x, torch.tensor([0.2, 0.9]), torch.tensor([[3, 8, 1, 0], [3, 2, 0, 0]])


def subset(kept: int, seed: int = 0) -> Tensor:
    return torch.stack(
        [torch.randperm(GRID, generator=torch.Generator().manual_seed(seed + b))[:kept] for b in range(BATCH)]
    )


def states(
    made: TextDiT, tokens: Tensor | None, perturbation: Perturbation | None = None
) -> list[tuple[Tensor, Tensor]]:
    """What went into and came out of each block's attention (B, words and patches, D)."""
    seen: list[tuple[Tensor, Tensor]] = []
    hooks = [
        block.attn.register_forward_hook(lambda _, args, out: seen.append((args[0], out))) for block in made.blocks
    ]
    made(*inputs(), tokens, perturbation)
    for hook in hooks:
        hook.remove()
    return seen


def gap(one: Tensor, other: Tensor) -> float:
    """Largest difference as a share of the largest value."""
    return float((one - other).abs().max() / one.abs().max())


# Sparsity


@pytest.mark.parametrize(("a", "inside"), [(TINY, {1, 2, 3}), (TWICE, {0, 1, 3, 4})])
def test_routed_blocks_see_the_kept_patches_and_every_word(a: TextDiTArchitecture, inside: set[int]) -> None:
    made = network(a)
    found = [given_one.shape[1] for given_one, _ in states(made, subset(9))]
    assert found == [WORDS + (9 if index in inside else GRID) for index in range(5)]
    assert [given_one.shape[1] for given_one, _ in states(made, None)] == [WORDS + GRID] * 5


def test_the_words_that_routed_blocks_see_are_the_words_themselves() -> None:
    """The first routed block is given what the dense network's is: the same words, and the kept patches in order."""
    made, tokens = network(), subset(9)
    dense, sparse = (states(made, given_one)[1][0] for given_one in (None, tokens))
    assert torch.equal(sparse[:, :WORDS], dense[:, :WORDS])
    for row in range(BATCH):
        assert torch.equal(sparse[row, WORDS:], dense[row, WORDS + tokens[row]])


@pytest.mark.parametrize("a", [TINY, TWICE])
def test_keeping_every_token_is_the_dense_call(a: TextDiTArchitecture) -> None:
    made = network(a)
    assert gap(made(*inputs()), made(*inputs(), subset(GRID))) < 1e-4
    assert gap(made(*inputs()), made(*inputs(), torch.arange(GRID).expand(BATCH, -1))) < 1e-6


@pytest.mark.slow
@settings(max_examples=10, deadline=None)
@given(kept=st.integers(1, GRID), seed=st.integers(0, 1000))
def test_the_order_of_the_kept_tokens_does_not_matter(kept: int, seed: int) -> None:
    made, tokens = network(), subset(kept, seed)
    assert gap(made(*inputs(seed), tokens), made(*inputs(seed), tokens.sort(dim=1).values)) < 1e-5


def test_which_tokens_are_kept_matters() -> None:
    made = network()
    dense, one, other = (made(*inputs(), tokens) for tokens in (None, subset(9), subset(9, 50)))
    assert gap(dense, one) > 1e-2
    assert gap(one, other) > 1e-2


def test_without_routes_tokens_change_nothing() -> None:
    made = network(TextDiTArchitecture(**SIZES))
    assert torch.equal(made(*inputs(), subset(9)), made(*inputs()))


# Condition and time


def test_condition_and_time_matter() -> None:
    made = network()
    x, t, words = inputs()
    found = made(x, t, words)
    assert found.shape == x.shape
    for other in (made(x, t, words.flip(0)), made(x, 1 - t, words), made(x, t, NULL)):
        assert gap(found, other) > 1e-2
    # The order of words does, too: a circle left of a star is no star left of a circle.
    assert gap(found, made(x, t, words[:, [1, 0, 2, 3]])) > 1e-3


def test_the_null_caption_is_all_padding_and_one_serves_all_samples() -> None:
    made = network()
    x, t, _ = inputs()
    assert TINY.null_label == 0
    apart = made(x, t, NULL.expand(BATCH, -1))
    assert gap(apart, made(x, t, NULL)) < 1e-6
    assert gap(apart[:1], made(x[:1], t[:1], NULL)) < 1e-5
    assert gap(made(x, t[:1].expand(2), NULL), made(x, t[:1], NULL)) < 1e-6


def test_time_is_scaled_before_it_is_embedded() -> None:
    slow = network(TINY.model_copy(update={"time_scale": 1.0}))
    x, t, words = inputs()
    assert gap(network()(x, t, words), slow(x, 1000 * t, words)) < 1e-6


def test_a_fresh_network_predicts_nothing_and_its_words_are_apart() -> None:
    fresh = build(TINY)
    assert isinstance(fresh, TextDiT)
    assert not fresh(*inputs()).any()
    assert float(fresh.text_encoder.words.weight.detach().std()) == pytest.approx(1, abs=0.2)


# Perturbations


@pytest.mark.parametrize("perturbation", [IdentityAttention((2,)), BlurredQueries((2,), 1.5), BlurredQueries((2,))])
def test_perturbed_attention_leaves_words_alone(perturbation: Perturbation) -> None:
    made = network()
    plain, found = states(made, None), states(made, None, perturbation)
    for layer in (0, 1):
        assert torch.equal(found[layer][1], plain[layer][1])
    assert torch.equal(found[2][0], plain[2][0])
    assert gap(plain[2][1][:, :WORDS], found[2][1][:, :WORDS]) < 1e-5
    assert gap(plain[2][1][:, WORDS:], found[2][1][:, WORDS:]) > 1e-2
    # Behind it words are others, too: they attended to perturbed patches.
    assert gap(plain[3][1][:, :WORDS], found[3][1][:, :WORDS]) > 1e-4


def test_the_identity_gives_patches_their_own_values() -> None:
    """PAG (arXiv 2403.17377, equation 9): of the fused projection, only values reach the output."""
    made, perturbation = network(), IdentityAttention((0,))
    attention = made.blocks[0].attn
    ((given_one, found), *_) = states(made, None, perturbation)
    values = attention.qkv(given_one)[..., 2 * 24 :]
    assert gap(attention.proj(values)[:, WORDS:], found[:, WORDS:]) < 1e-5


@settings(max_examples=20, deadline=None)
@given(st.integers(0, 1000), st.sampled_from([0.5, 2.0, math.inf]), st.integers(1, 5))
def test_attention_with_words_by_its_definition(seed: int, sigma: float, words: int) -> None:
    generator = torch.Generator().manual_seed(seed)
    query, key, value = (torch.randn(2, 3, words + 9, 4, generator=generator) for _ in range(3))
    blurred = torch.cat([query[:, :, :words], blur_queries(query[:, :, words:], sigma)], dim=2)
    expected = torch.softmax(blurred @ key.mT / 2, dim=-1) @ value
    assert gap(expected, attend(query, key, value, BlurredQueries((0,), sigma), words=words)) < 1e-5
    plain = torch.softmax(query @ key.mT / 2, dim=-1) @ value
    assert gap(plain, attend(query, key, value, words=words)) < 1e-5
    expected = torch.cat([plain[:, :, :words], value[:, :, words:]], dim=2)
    assert gap(expected, attend(query, key, value, IdentityAttention((0,)), words=words)) < 1e-5


def test_the_mean_query_is_that_of_patches_alone() -> None:
    """At infinite sigma all patches attend alike, whatever the words ask for."""
    generator = torch.Generator().manual_seed(0)
    query, key, value = (torch.randn(1, 1, WORDS + 9, 4, generator=generator) for _ in range(3))
    perturbation = BlurredQueries((0,))
    found = attend(query, key, value, perturbation, words=WORDS)[:, :, WORDS:]
    assert gap(found, found[:, :, :1].expand_as(found)) < 1e-6
    query[:, :, :WORDS] = 100
    assert torch.equal(attend(query, key, value, perturbation, words=WORDS)[:, :, WORDS:], found)


@pytest.mark.parametrize("skipped", [(0,), (1,), (3,), (1, 4)])
def test_a_skipped_block_hands_words_and_patches_on(skipped: tuple[int, ...]) -> None:
    """As if its gates were shut; the tokens that are routed around it are the same."""
    made, shut = network(), network()
    for layer in skipped:
        shut.blocks[layer].adaLN_modulation[1].weight.zero_()
        shut.blocks[layer].adaLN_modulation[1].bias.zero_()
    for tokens in (None, subset(9)):
        found = made(*inputs(), tokens, SkippedBlocks(skipped))
        assert torch.equal(found, shut(*inputs(), tokens))
        assert gap(made(*inputs(), tokens), found) > 1e-3
    assert len(states(made, None, SkippedBlocks(skipped))) == 5 - len(skipped)


def test_without_blocks_only_the_mean_of_the_words_counts() -> None:
    """Patches then meet the caption by way of the modulation alone, where its order is lost."""
    made = network()
    for block in made.text_encoder.blocks:
        block.attn.proj.weight.zero_()
    made.text_encoder.places.weight.zero_()
    x, t, words = inputs()
    nothing = SkippedBlocks((0, 1, 2, 3, 4))
    found = made(x, t, words, perturbation=nothing)
    assert gap(found, made(x, t, words.flip(1), perturbation=nothing)) < 1e-5
    assert gap(found, made(x, t, NULL, perturbation=nothing)) > 1e-3


# Sizes


def test_the_packaged_network_has_the_sizes_of_its_recipe() -> None:
    a = load_recipe("shapes").architecture
    assert isinstance(a, TextDiTArchitecture)
    made = build(a)
    width = a.hidden_size
    block = 18 * width**2 + 15 * width
    text = 12 * width**2 + 13 * width
    expected = (
        (a.patch_size**2 * a.in_channels + 1) * width
        + (256 + width + 2) * width
        + (a.words + a.caption_tokens + 2) * width
        + (width + 1) * width
        + a.text_depth * text
        + a.depth * block
        + 2 * (width + 1) * width
        + (width + 1) * a.patch_size**2 * a.out_channels
    )
    assert sum(p.numel() for p in made.parameters() if p.requires_grad) == expected


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"patch_size": 5}, "input_size 12 is not a multiple of patch_size 5"),
        ({"num_heads": 5}, "hidden_size 24 is not a multiple of num_heads 5"),
        ({"routes": ((1, 5),)}, r"route \[1, 5\] overlaps another or leaves blocks 0..4"),
        ({"num_classes": 10}, "Extra inputs are not permitted"),
    ],
)
def test_sizes_that_do_not_fit_are_refused(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(ValidationError, match=message):
        TextDiTArchitecture(**{**SIZES, **changes})
