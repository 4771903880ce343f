"""TextDiT: fvcore's count of the network against the closed form, perturbed or not."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sgbench.cells.closed_form import kept_macs
from sgbench.cost.macs import count_kept
from sgbench.guidance.perturbation import Perturbation
from sgbench.guidance.rules.perturbed_attention import IdentityAttention
from sgbench.guidance.rules.skip_layers import SkippedBlocks
from sgbench.guidance.rules.smoothed_energy import BlurredQueries
from sgbench.models.architecture import Macs
from sgbench.models.embedded import TextDiTArchitecture, load_recipe
from sgbench.networks.denoiser import build

GRID, WORDS = 16, 5
layers = st.lists(st.integers(0, 2), min_size=1, max_size=3, unique=True).map(lambda found: tuple(sorted(found)))


def tiny(**changes: int) -> TextDiTArchitecture:
    sizes = {"hidden_size": 16, "depth": 3, "caption_tokens": WORDS, "text_depth": 2, "in_channels": 3, **changes}
    return TextDiTArchitecture(
        **sizes, input_size=8, patch_size=2, num_heads=2, words=11, routes=((1, sizes["depth"] - 1),)
    )


@pytest.mark.slow
@settings(max_examples=10, deadline=None)
@given(
    width=st.sampled_from([16, 24]),
    depth=st.integers(2, 4),
    words=st.integers(1, 9),
    text_depth=st.integers(1, 3),
    channels=st.integers(1, 3),
    kept=st.integers(1, GRID),
)
def test_fvcore_counts_the_closed_form(
    width: int, depth: int, words: int, text_depth: int, channels: int, kept: int
) -> None:
    a = tiny(hidden_size=width, depth=depth, caption_tokens=words, text_depth=text_depth, in_channels=channels)
    assert count_kept(build(a).eval(), kept) == kept_macs(a, kept)


@pytest.mark.slow
@settings(max_examples=20, deadline=None)
@given(
    kind=st.sampled_from([IdentityAttention, SkippedBlocks]),
    layers=layers,
    kept=st.integers(1, GRID),
    words=st.integers(1, 9),
)
def test_fvcore_counts_perturbed_blocks_at_any_number_of_kept_tokens(
    kind: type[Perturbation], layers: tuple[int, ...], kept: int, words: int
) -> None:
    a, perturbation = tiny(caption_tokens=words), kind(layers)
    assert count_kept(build(a).eval(), kept, perturbation) == kept_macs(a, kept, perturbation)


@pytest.mark.slow
@settings(max_examples=10, deadline=None)
@given(layers=layers, sigma=st.sampled_from([0.5, 2.0, float("inf")]), words=st.integers(1, 9))
def test_fvcore_counts_a_blur_of_the_full_grid(layers: tuple[int, ...], sigma: float, words: int) -> None:
    a, perturbation = tiny(caption_tokens=words), BlurredQueries(layers, sigma)
    assert count_kept(build(a).eval(), GRID, perturbation) == kept_macs(a, GRID, perturbation)


@pytest.mark.slow
@pytest.mark.parametrize("kept", [64, 32, 7])
def test_fvcore_counts_the_closed_form_of_the_packaged_network(kept: int) -> None:
    a = load_recipe("shapes").architecture
    assert count_kept(build(a).eval(), kept) == kept_macs(a, kept)


def test_the_closed_form_by_hand() -> None:
    """Width 2, one patch and one word, one block each; products of linear maps, of attention, norms by element."""
    a = TextDiTArchitecture(
        input_size=2, patch_size=2, in_channels=1, hidden_size=2, depth=1, num_heads=1, words=3, caption_tokens=1,
        text_depth=1,
    )  # fmt: skip
    patch, time = 4 * 2, 256 * 2 + 2 * 2
    text = Macs(12 * 4, 2 * 1 * 2, 2 * 2).plus(Macs(0, 0, 2))
    pooled = 2 * 2
    block = Macs(12 * 2 * 4 + 6 * 4, 2 * 4 * 2, 2 * 2 * 2)
    final = Macs(2 * 4 + 2 * 4, 0, 2)
    assert kept_macs(a, 1) == Macs(patch + time + pooled, 0, 0).plus(text).plus(block).plus(final)


@given(kept=st.integers(1, GRID))
def test_fewer_tokens_cost_less_only_inside_the_route(kept: int) -> None:
    a = tiny(depth=4)
    sparse, dense = a.block_macs(kept), a.block_macs(GRID)
    assert [layer for layer in range(4) if sparse[layer] != dense[layer]] == ([1, 2, 3] if kept < GRID else [])
    difference = sum(there.macs - here.macs for there, here in zip(dense, sparse, strict=True))
    assert kept_macs(a, GRID).macs - kept_macs(a, kept).macs == difference


def test_skipping_takes_a_block_and_the_identity_its_products_of_patches() -> None:
    a = tiny()
    plain, block = kept_macs(a, GRID), a.block_macs(GRID)[1]
    skipped, identity = (kept_macs(a, GRID, kind((1,))) for kind in (SkippedBlocks, IdentityAttention))
    assert skipped == plain.plus(block.times(-1))
    # Words go on attending to all tokens: of n + L queries, L are left.
    assert plain.attention - identity.attention == block.attention * GRID // (GRID + WORDS)
    assert identity.linear == plain.linear
