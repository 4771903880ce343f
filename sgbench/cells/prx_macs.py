"""Multiply-accumulates of one call of PRX, from its sizes alone; conventions as in `closed_form.py`. No torch.

Elementwise work is left out, as fvcore leaves it out: rotary positions, RMS norms of queries and keys, gates.
"""

from __future__ import annotations

from sgbench.cells.counts import TIME_FREQUENCIES, Macs
from sgbench.models.pipeline_architecture import PRXArchitecture


def prx_macs(a: PRXArchitecture, kept: int) -> Macs:
    """One call for one image in which `kept` image tokens do work inside the routes; words always do."""
    grid, width, patch = a.grid_tokens, a.hidden_size, a.patch_size**2 * a.in_channels
    inner = a.bottleneck_size
    embedded = grid * patch * width if inner is None else grid * inner * (patch + width)
    # The timestep, and the resolution where the network is told it.
    vectors = (2 if a.resolution_embeds else 1) * (TIME_FREQUENCIES + width) * width
    words = a.caption_tokens * a.caption_channels * width
    total = Macs(embedded + vectors + words, 0, 0)
    for block in prx_block_macs(a, kept):
        total = total.plus(block)
    return total.plus(Macs(grid * width * patch + 2 * width**2, 0, grid * width))


def prx_block_macs(a: PRXArchitecture, kept: int) -> list[Macs]:
    """Every block, in running order."""
    inside = {layer for first, last in a.routes for layer in range(first, last + 1)}
    dense, sparse = _block(a, a.grid_tokens), _block(a, kept)
    return [sparse if layer in inside else dense for layer in range(a.depth)]


def _block(a: PRXArchitecture, tokens: int) -> Macs:
    """Projections of n tokens 4 n d^2 and of L words 2 L d^2, gated MLP 3 n d m, modulation 6 d^2.

    Image tokens attend to words and to each other: two products of n (L + n) d.
    """
    width, words = a.hidden_size, a.caption_tokens
    linear = (4 * tokens + 2 * words + 6) * width**2 + 3 * tokens * width * a.mlp_width
    return Macs(linear, 2 * tokens * (words + tokens) * width, 2 * tokens * width)
