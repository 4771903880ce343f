"""TR-DiT: what its description says of blocks and positions, and fvcore's count against the closed form."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn

from sgbench.cells.closed_form import call_macs, kept_macs
from sgbench.cost.macs import count_kept
from sgbench.guidance.perturbation import Perturbation
from sgbench.guidance.rules.perturbed_attention import IdentityAttention
from sgbench.guidance.rules.skip_layers import SkippedBlocks
from sgbench.models.architecture import Macs
from sgbench.models.families import FAMILIES
from sgbench.models.families.tr_dit import TRDiTArchitecture
from sgbench.models.family import Request
from sgbench.networks.denoiser import build
from sgbench.networks.rotary import rotate
from sgbench.networks.tr_dit import RotaryAttention, TRDiT

SIZES: dict[str, Any] = {
    "input_size": 8, "patch_size": 2, "in_channels": 3, "hidden_size": 32, "depth": 4, "num_heads": 2, "mlp_width": 40,
    "text_depth": 2, "caption_channels": 10, "caption_tokens": 5,
}  # fmt: skip
TINY = TRDiTArchitecture(**SIZES, routes=((1, 2),))
# The described network at 512 pixels.
FULL = FAMILIES["tr-dit"].sized(Request("XL", 2, 64, None))
GRID, BATCH = 16, 2


def network(a: TRDiTArchitecture = TINY) -> TRDiT:
    made = build(a).eval().requires_grad_(False)
    assert isinstance(made, TRDiT)
    for number, parameter in enumerate(made.parameters()):
        parameter.normal_(std=0.2, generator=torch.Generator().manual_seed(number))
    return made


def inputs(seed: int = 7) -> tuple[Tensor, Tensor, Tensor]:
    generator = torch.Generator().manual_seed(seed)
    x, words = torch.randn(BATCH, 3, 8, 8, generator=generator), torch.randn(BATCH, 5, 10, generator=generator)
    return x, torch.tensor([0.2, 0.9]), words


def gap(one: Tensor, other: Tensor) -> float:
    """Largest difference as a share of the largest value."""
    return float((one - other).abs().max() / one.abs().max())


# What is described


def test_blocks_have_no_biases_and_rms_norms_alone() -> None:
    made = network()
    for stack in (made.blocks, made.caption_blocks):
        assert not [name for name, _ in stack.named_parameters() if name.endswith("bias")]
    kinds = {type(module) for module in made.modules() if "Norm" in type(module).__name__}
    assert kinds == {nn.RMSNorm}


def test_nothing_dropped_is_the_dense_call_bit_for_bit() -> None:
    made = network()
    assert torch.equal(made(*inputs()), made(*inputs(), torch.arange(GRID).expand(BATCH, -1)))


def test_positions_go_with_their_tokens() -> None:
    """A routed block is given the rows of the table that its tokens had in the full grid."""
    made, seen = network(), []
    tokens = torch.tensor([[5, 0, 11], [3, 15, 7]])
    for block in made.blocks:
        block.register_forward_pre_hook(lambda _, args, named: seen.append(named["positions"]), with_kwargs=True)
    made(*inputs(), tokens)
    for layer, (cosines, sines) in enumerate(seen):
        if layer in (1, 2):
            for row in range(BATCH):
                assert torch.equal(cosines[row, 0], made.cosines[tokens[row]])
                assert torch.equal(sines[row, 0], made.sines[tokens[row]])
        else:
            assert (cosines is made.cosines, sines is made.sines) == (True, True)


@given(row=st.integers(0, 2), column=st.integers(0, 2), seed=st.integers(0, 99))
def test_attention_sees_how_far_apart_tokens_are_on_both_axes(row: int, column: int, seed: int) -> None:
    """Products of rotated queries and keys are the same wherever a pair of tokens stands."""
    made, generator = network(), torch.Generator().manual_seed(seed)
    query, key = torch.randn(2, 16, generator=generator).double()

    def product(*places: int) -> Tensor:
        turned = (
            rotate(one, made.cosines[place].double(), made.sines[place].double())
            for one, place in zip((query, key), places, strict=True)
        )
        first, second = turned
        return first @ second

    here, there = 0, 5
    moved = 4 * row + column
    assert torch.allclose(product(here, there), product(here + moved, there + moved), atol=1e-5)
    assert not torch.allclose(product(here, 1), product(here, 4), atol=1e-5)


def test_words_know_no_order_and_the_null_caption_serves_all_samples() -> None:
    made = network()
    x, t, words = inputs()
    assert gap(made(x, t, words), made(x, t, words.flip(1))) < 1e-5
    null = torch.zeros(1, 5, 10)
    assert torch.equal(made(x, t, null), made(x, t, null.expand(BATCH, -1, -1)))
    assert gap(made(x, t, words), made(x, t, null)) > 1e-2


def test_the_attention_to_words_is_never_perturbed() -> None:
    """Under the identity, each image token takes its own value; words still count."""
    made = network()
    every = IdentityAttention((0, 1, 2, 3))
    x, t, words = inputs()
    assert gap(made(x, t, words, None, every), made(x, t, words)) > 1e-2
    assert gap(made(x, t, words, None, every), made(x, t, words.flip(0), None, every)) > 1e-2
    (attention,) = [module for module in made.blocks[0].modules() if isinstance(module, RotaryAttention)]
    h = torch.randn(BATCH, GRID, 32, generator=torch.Generator().manual_seed(0))
    own = attention.proj(attention.qkv(h).chunk(3, dim=-1)[2])
    assert torch.allclose(attention(h, made.cosines, made.sines, perturbation=every), own, atol=1e-6)


def test_head_widths_that_cannot_hold_two_axes_are_refused() -> None:
    with pytest.raises(ValueError, match="a head width that is a multiple of 4"):
        TRDiTArchitecture(**{**SIZES, "hidden_size": 12})


# Cost


@pytest.mark.slow
@settings(max_examples=20, deadline=None)
@given(
    width=st.sampled_from([16, 24]), depth=st.integers(2, 4), mlp=st.integers(1, 50), text_depth=st.integers(0, 2),
    words=st.integers(1, 9), channels=st.integers(1, 3), kept=st.integers(1, GRID),
)  # fmt: skip
def test_fvcore_counts_the_closed_form(
    width: int, depth: int, mlp: int, text_depth: int, words: int, channels: int, kept: int
) -> None:
    changes = {"hidden_size": width, "depth": depth, "mlp_width": mlp, "text_depth": text_depth}
    changes |= {"caption_tokens": words, "in_channels": channels}
    a = TRDiTArchitecture(**{**SIZES, **changes}, routes=((1, depth - 1),))
    assert count_kept(build(a).eval(), kept) == kept_macs(a, kept)


@pytest.mark.slow
@pytest.mark.parametrize("kind", [IdentityAttention, SkippedBlocks])
@pytest.mark.parametrize("layers", [(0,), (1, 3), (0, 1, 2)])
def test_fvcore_counts_perturbed_blocks_at_every_number_of_kept_tokens(
    kind: type[Perturbation], layers: tuple[int, ...]
) -> None:
    made = build(TINY).eval()
    for kept in range(1, GRID + 1):
        assert count_kept(made, kept, kind(layers)) == kept_macs(TINY, kept, kind(layers))


def test_the_closed_form_by_hand() -> None:
    """Width 4, one patch and one word of two channels, one block each; inner width 3."""
    a = TRDiTArchitecture(
        input_size=2, patch_size=2, in_channels=1, hidden_size=4, depth=1, num_heads=1, mlp_width=3, text_depth=1,
        caption_channels=2, caption_tokens=1,
    )  # fmt: skip
    embedded = Macs(4 * 4 + 256 * 4 + 4 * 4, 0, 0)
    caption = Macs(2 * 4 + 4 * 16 + 3 * 4 * 3, 2 * 4, 0)
    block = Macs(4 * 16 + 4 * 16 + 3 * 4 * 3, 2 * 4 + 2 * 4, 0)
    final = Macs(6 * 16 + 4 * 4 + 2 * 16, 0, 0)
    assert kept_macs(a, 1) == embedded.plus(caption).plus(block).plus(final)


def test_the_saving_of_the_papers_setting() -> None:
    """SG at 0.1 / 0.8 does 1 / 1.60 of CFG's work; the paper's images a second are as 0.49 to 0.32, 1.53 (H200)."""
    cfg = 2 * call_macs(FULL, 0).macs
    sg = call_macs(FULL, 0.1).macs + call_macs(FULL, 0.8).macs
    assert cfg / 1e9 == pytest.approx(4728.43, abs=0.01)
    assert cfg / sg == pytest.approx(1.597, abs=0.001)
