"""Sparsity saves work: the blocks see fewer tokens, and tokens that are kept are the only ones that change."""

from __future__ import annotations

import pytest
import torch
from pydantic import ValidationError

from sgbench.models.families.dit import DiTArchitecture
from sgbench.models.families.maskdit import MaskDiTArchitecture
from sgbench.networks.denoiser import build

SIZES = {
    "input_size": 8, "patch_size": 2, "in_channels": 1, "hidden_size": 16, "depth": 5, "num_heads": 2, "num_classes": 3,
}  # fmt: skip
ROUTED = DiTArchitecture(**SIZES, out_channels=1, routes=((1, 3),))
MASKED = MaskDiTArchitecture(**SIZES, decoder_hidden_size=8, decoder_depth=1, decoder_num_heads=2)


def inputs() -> tuple[torch.Tensor, ...]:
    generator = torch.Generator().manual_seed(0)
    return torch.randn(2, 1, 8, 8, generator=generator), torch.tensor([0.2, 0.9]), torch.tensor([0, 2])


def tokens_seen(model: torch.nn.Module, kept: torch.Tensor | None) -> list[int]:
    seen: list[int] = []
    hooks = [b.register_forward_hook(lambda _, args, __: seen.append(args[0].shape[1])) for b in model.blocks]
    model(*inputs(), kept)
    for hook in hooks:
        hook.remove()
    return seen


def test_routed_blocks_see_only_kept_tokens() -> None:
    kept = torch.tensor([[0, 5, 9], [1, 2, 15]])
    assert tokens_seen(build(ROUTED), kept) == [16, 3, 3, 3, 16]
    assert tokens_seen(build(ROUTED), None) == [16] * 5


def test_masked_encoder_sees_only_kept_tokens() -> None:
    assert tokens_seen(build(MASKED), torch.tensor([[0, 5, 9], [1, 2, 15]])) == [3] * 5


def test_sizes_that_do_not_fit_are_refused() -> None:
    with pytest.raises(ValidationError, match="not a multiple of patch_size"):
        DiTArchitecture(**{**SIZES, "patch_size": 3}, out_channels=1)
    with pytest.raises(ValidationError, match="overlaps another or leaves"):
        DiTArchitecture(**SIZES, out_channels=1, routes=((1, 3), (3, 4)))
