"""Multiply-accumulates of one denoiser call, from the architecture alone. No torch.

Two conventions, both counting one multiply-accumulate as one:
- `macs`: everything fvcore counts, attention products included, LayerNorm 4 per element;
- `paper`: as in Table 2 of arXiv 2601.01608, without attention products, LayerNorm 2 per element.
`macs.py` measures the same numbers on the network; they must agree within 0.1 %.
"""

from __future__ import annotations

import math
from functools import lru_cache, reduce
from typing import assert_never

from sgbench.cells.counts import TIME_FREQUENCIES, Macs
from sgbench.cells.prx_macs import prx_block_macs, prx_macs
from sgbench.guidance.perturbation import Perturbation
from sgbench.models.architecture import (
    AnyArchitecture,
    DiTArchitecture,
    MaskDiTArchitecture,
    MDTv2Architecture,
    MicroBlock,
    MicroDiTArchitecture,
    SprintArchitecture,
)
from sgbench.models.pipeline_architecture import PRXArchitecture
from sgbench.models.text_architecture import TextDiTArchitecture

MICRODIT_TIME_FREQUENCIES = 512


def kept_tokens(grid: int, gamma: float) -> int:
    """Tokens that do work at sparsity gamma: N - int(N gamma)."""
    return grid - int(grid * gamma)


def call_macs(architecture: AnyArchitecture, gamma: float) -> Macs:
    """One call for one image at sparsity gamma; gamma 1 is SPRINT's path drop, where no token is kept."""
    return kept_macs(architecture, kept_tokens(architecture.grid_tokens, gamma))


@lru_cache(maxsize=4096)
def kept_macs(architecture: AnyArchitecture, kept: int, change: Perturbation | None = None) -> Macs:
    """One call for one image in which `kept` tokens do work and some blocks are perturbed."""
    match architecture:
        case DiTArchitecture():
            whole = _dit(architecture, kept)
        case MaskDiTArchitecture():
            whole = _maskdit(architecture, kept)
        case SprintArchitecture():
            whole = _sprint(architecture, kept)
        case TextDiTArchitecture():
            whole = _textdit(architecture, kept)
        case PRXArchitecture():
            whole = prx_macs(architecture, kept)
        case MDTv2Architecture():
            whole = _mdtv2(architecture, kept)
        case MicroDiTArchitecture():
            whole = _microdit(architecture, kept)
        case _:
            assert_never(architecture)
    if change is None:
        return whole
    return _sum(whole, *(_difference(architecture, kept, layer, change) for layer in change.layers))


def block_macs(architecture: AnyArchitecture, kept: int) -> list[Macs]:
    """Every block that can be perturbed, in running order."""
    grid = architecture.grid_tokens
    if isinstance(architecture, MicroDiTArchitecture):
        return [_micro_block(architecture, block, kept) for block in architecture.backbone_blocks]
    if isinstance(architecture, PRXArchitecture):
        return prx_block_macs(architecture, kept)
    width = architecture.hidden_size
    # Words are tokens that are always there.
    words = architecture.caption_tokens if isinstance(architecture, TextDiTArchitecture) else 0
    dense, sparse = _block(grid + words, width, width), _block(kept + words, width, width)
    if isinstance(architecture, DiTArchitecture | TextDiTArchitecture):
        inside = {layer for first, last in architecture.routes for layer in range(first, last + 1)}
        return [sparse if layer in inside else dense for layer in range(architecture.depth)]
    if isinstance(architecture, MaskDiTArchitecture):
        light = _block(grid, architecture.decoder_hidden_size, width)
        return [sparse] * architecture.depth + [light] * architecture.decoder_depth
    if isinstance(architecture, SprintArchitecture):
        middle = [sparse if kept else Macs(0, 0, 0)] * architecture.middle_depth
        return [dense] * architecture.encoder_depth + middle + [dense] * architecture.decoder_depth
    if isinstance(architecture, MDTv2Architecture):
        half = architecture.encoder_half_depth
        mixed = [sparse.plus(_mixing(kept, width))] * half
        return [sparse] * half + mixed + [dense.plus(_mixing(grid, width))] * architecture.decoder_depth
    assert_never(architecture)


def _difference(a: AnyArchitecture, kept: int, layer: int, change: Perturbation) -> Macs:
    """What a perturbation adds to a block: skipping takes all, the identity takes the products of self-attention."""
    block = block_macs(a, kept)[layer]
    if change.kind == "skip":
        return block.times(-1)
    products = block.attention
    if isinstance(a, MicroDiTArchitecture):  # whose blocks also attend to the caption
        products = 2 * kept**2 * a.backbone_blocks[layer].attention_width
    if isinstance(a, TextDiTArchitecture):  # whose words go on attending
        seen = math.isqrt(products // (2 * a.hidden_size))
        products -= 2 * a.caption_tokens * seen * a.hidden_size
    match change.kind:
        case "identity":
            return Macs(0, -products, 0)
        case "blur":
            # Rows, then columns, of a separable blur of the full grid; at infinite sigma a mean, which is not counted.
            side, width = math.isqrt(a.grid_tokens), products // (2 * a.grid_tokens**2)
            if isinstance(a, TextDiTArchitecture):
                width = a.hidden_size
            return Macs(0 if math.isinf(change.sigma) else 2 * a.grid_tokens * side * width, 0, 0)
        case _:
            assert_never(change.kind)


def _dit(a: DiTArchitecture, kept: int) -> Macs:
    grid, width = a.grid_tokens, a.hidden_size
    return _sum(
        _embedding(grid, a.patch_size**2 * a.in_channels, width),
        *block_macs(a, kept),
        _final(grid, width, a.patch_size**2 * a.out_channels, width),
    )


def _textdit(a: TextDiTArchitecture, kept: int) -> Macs:
    grid, words, width = a.grid_tokens, a.caption_tokens, a.hidden_size
    reading = Macs(12 * words * width**2, 2 * words**2 * width, 2 * words * width).times(a.text_depth)
    return _sum(
        _embedding(grid, a.patch_size**2 * a.in_channels, width),
        reading,
        Macs(width**2, 0, words * width),
        *block_macs(a, kept),
        _final(grid, width, a.patch_size**2 * a.out_channels, width),
    )


def _maskdit(a: MaskDiTArchitecture, kept: int) -> Macs:
    grid, width, light = a.grid_tokens, a.hidden_size, a.decoder_hidden_size
    return _sum(
        _embedding(grid, a.patch_size**2 * a.in_channels, width),
        # The one-hot label is multiplied in.
        Macs(a.num_classes * width, 0, 0),
        *block_macs(a, kept),
        _final(kept, width, light, width),
        _final(grid, light, a.patch_size**2 * a.out_channels, width),
    )


def _sprint(a: SprintArchitecture, kept: int) -> Macs:
    """The rotary embedding and the norms of query and key are elementwise and not counted, as fvcore does not."""
    grid, width = a.grid_tokens, a.hidden_size
    return _sum(
        _embedding(grid, a.patch_size**2 * a.in_channels, width),
        *block_macs(a, kept),
        Macs(2 * grid * width**2, 0, 0),
        _final(grid, width, a.patch_size**2 * a.out_channels, width),
    )


def _mdtv2(a: MDTv2Architecture, kept: int) -> Macs:
    grid, width = a.grid_tokens, a.hidden_size
    return _sum(
        _embedding(grid, a.patch_size**2 * a.in_channels, width),
        *block_macs(a, kept),
        _block(grid, width, width).times(1 if kept < grid else 0),
        _final(grid, width, a.patch_size**2 * a.out_channels, width),
    )


def _mixing(tokens: int, width: int) -> Macs:
    """A long skip, mixed in by a linear map of twice the width."""
    return Macs(2 * tokens * width**2, 0, 0)


def _microdit(a: MicroDiTArchitecture, kept: int) -> Macs:
    grid, width, light, words = a.grid_tokens, a.hidden_size, a.patch_mixer_dim, a.caption_tokens
    caption = Macs(words * (a.caption_channels + width) * width, 0, words * width)
    caption = caption.plus(
        Macs(words * (4 * width**2 + 3 * width * a.caption_mlp_width), 2 * words**2 * width, 4 * words * width)
    )
    total = _sum(
        _embedding(grid, a.patch_size**2 * a.in_channels, width, MICRODIT_TIME_FREQUENCIES),
        caption,
        Macs(2 * width**2, 0, width),
        *(_micro_block(a, block, grid) for block in a.mixer_blocks),
        *block_macs(a, kept),
        _final(kept, width, a.patch_size**2 * a.out_channels, width),
    )
    if light == width:
        return total
    maps = Macs((grid + kept + words) * width * light, 0, (grid + words) * width + kept * light)
    return total.plus(maps)


def _micro_block(a: MicroDiTArchitecture, block: MicroBlock, tokens: int) -> Macs:
    width, inner, words = block.width, block.attention_width, a.caption_tokens
    linear = 4 * tokens * width * inner + 2 * tokens * width**2 + 2 * words * width**2 + 6 * a.hidden_size * width
    attention = 2 * tokens**2 * inner + 2 * tokens * words * width
    normalised = 2 * tokens * inner + (tokens + words) * width + 3 * tokens * width
    if block.experts:
        chosen = int(a.expert_capacity * tokens / a.num_experts)
        linear += tokens * width * a.num_experts + 2 * a.num_experts * chosen * width * block.mlp_width
    else:
        linear += 3 * tokens * width * block.mlp_width
    return Macs(linear, attention, normalised)


def _embedding(tokens: int, patch: int, width: int, frequencies: int = TIME_FREQUENCIES) -> Macs:
    """Patches to tokens, and the two linear layers of the timestep."""
    return Macs(tokens * patch * width + frequencies * width + width * width, 0, 0)


def _block(tokens: int, width: int, condition: int) -> Macs:
    """Projections 4 n d^2, MLP 8 n d^2, modulation 6 c d; two attention products of n^2 d; two norms."""
    linear = 12 * tokens * width**2 + 6 * condition * width
    return Macs(linear, 2 * tokens**2 * width, 2 * tokens * width)


def _final(tokens: int, width: int, out: int, condition: int) -> Macs:
    return Macs(tokens * width * out + 2 * condition * width, 0, tokens * width)


def _sum(*parts: Macs) -> Macs:
    return reduce(Macs.plus, parts)
