"""MDTv2: a masked encoder with long skips, a block that fills in what was masked, a decoder over all tokens."""

from typing import Any

import torch
from torch import Tensor, nn

from sgbench.guidance.perturbation import Perturbation
from sgbench.models.families.mdtv2 import MDTv2Architecture
from sgbench.networks import layers
from sgbench.networks.denoiser import ClassDenoiser

SPARE_DISTANCES = 3


class RelativePositionBias(nn.Module):
    """One learned number per head and offset between two grid positions; three table entries are never used."""

    relative_position_index: Tensor

    def __init__(self, side: int, heads: int) -> None:
        super().__init__()
        offsets = 2 * side - 1
        self.relative_position_bias_table = nn.Parameter(torch.zeros(offsets**2 + SPARE_DISTANCES, heads))
        nn.init.trunc_normal_(self.relative_position_bias_table, std=0.02)
        position = torch.arange(side * side)
        rows, columns = position // side, position % side
        row_offset = rows[:, None] - rows[None] + side - 1
        column_offset = columns[:, None] - columns[None] + side - 1
        self.register_buffer("relative_position_index", row_offset * offsets + column_offset)

    def forward(self, kept: Tensor | None) -> Tensor:
        """Bias (1, heads, N, N), or (B, heads, K, K) between the kept tokens (B, K)."""
        index = self.relative_position_index.unsqueeze(0)
        if kept is not None:
            index = self.relative_position_index[kept[:, :, None], kept[:, None, :]]
        return self.relative_position_bias_table[index].permute(0, 3, 1, 2)


class BiasedAttention(layers.Attention):
    """Self-attention with a relative position bias between the kept tokens (B, K), or all."""

    def __init__(self, width: int, heads: int, side: int) -> None:
        super().__init__(width, heads)
        self.rel_pos_bias = RelativePositionBias(side, heads)

    def with_positions(self, query: Tensor, key: Tensor, *positions: Any) -> tuple[Tensor, Tensor, Tensor | None]:
        (kept,) = positions
        return query, key, self.rel_pos_bias(kept).to(query.dtype)


class MDTBlock(layers.Block):
    """A DiT block with biased attention; with `skip`, an earlier activation is mixed in first."""

    def __init__(self, width: int, heads: int, side: int, skip: bool = False) -> None:
        super().__init__(BiasedAttention(width, heads, side), width, width)
        self.skip_linear = nn.Linear(2 * width, width) if skip else None

    def forward(
        self, x: Tensor, condition: Tensor, *positions: Any, perturbation: Perturbation | None = None
    ) -> Tensor:
        kept, *earlier = positions
        if self.skip_linear is not None:
            x = self.skip_linear(torch.cat([x, *earlier], dim=-1))
        return super().forward(x, condition, kept, perturbation=perturbation)


class MDTv2(ClassDenoiser):
    """Denoiser of the `mdtv2` family; see `networks/denoiser.py` for the contract."""

    architecture: MDTv2Architecture

    def __init__(self, architecture: MDTv2Architecture) -> None:
        super().__init__(architecture)
        a = architecture
        width, heads, side = a.hidden_size, a.num_heads, a.input_size // a.patch_size
        half = a.encoder_half_depth
        self.pos_embed.requires_grad_(True)
        self.en_inblocks = nn.ModuleList(MDTBlock(width, heads, side) for _ in range(half))
        self.en_outblocks = nn.ModuleList(MDTBlock(width, heads, side, skip=True) for _ in range(half))
        self.sideblocks = nn.ModuleList([MDTBlock(width, heads, side)])
        self.de_blocks = nn.ModuleList(MDTBlock(width, heads, side, skip=True) for _ in range(a.decoder_depth))
        self.decoder_pos_embed = nn.Parameter(layers.sincos_positions(width, side))
        self.mask_token = nn.Parameter(torch.zeros(1, 1, width))
        self.final_layer = layers.FinalLayer(width, a.patch_size**2 * a.out_channels, width)
        layers.initialise(self)
        nn.init.normal_(self.mask_token, std=0.02)

    def run_blocks(self, h: Tensor, c: Tensor, tokens: Tensor | None, perturbation: Perturbation | None) -> Tensor:
        embedded, half = h, self.architecture.encoder_half_depth
        if tokens is not None:
            h = layers.gather_tokens(h, tokens)
        skips: list[Tensor] = []
        for layer, block in enumerate(self.en_inblocks):
            h = layers.run_block(block, layer, perturbation, h, c, tokens)
            skips.append(h)
        for layer, block in enumerate(self.en_outblocks, start=half):
            h = layers.run_block(block, layer, perturbation, h, c, tokens, skips.pop())
        h = h + self.decoder_pos_embed if tokens is None else self._fill_in(h, c, tokens)
        for layer, block in enumerate(self.de_blocks, start=2 * half):
            h = layers.run_block(block, layer, perturbation, h, c, None, embedded)
        return h

    def _fill_in(self, h: Tensor, c: Tensor, tokens: Tensor) -> Tensor:
        """All tokens again (B, N, D): kept ones as they were, the others from the side block."""
        stand_in = self.mask_token.to(h.dtype).expand(h.shape[0], self.architecture.grid_tokens, -1)
        before = layers.scatter_tokens(stand_in, tokens, h) + self.decoder_pos_embed
        after = self.sideblocks[0](before, c, None)
        return layers.scatter_tokens(after, tokens, layers.gather_tokens(before, tokens))
