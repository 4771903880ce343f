"""MDTv2: a masked encoder with long skips, a block that fills in what was masked, a decoder over all tokens."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from sgbench.guidance.perturbation import Perturbation
from sgbench.models.families.mdtv2 import MDTv2Architecture
from sgbench.networks.dit import LabelEmbedder
from sgbench.networks.layers import (
    MLP,
    FinalLayer,
    PatchEmbed,
    TimestepEmbedder,
    attend,
    gather_tokens,
    initialise,
    modulate,
    run_block,
    scatter_tokens,
    sincos_positions,
    unpatchify,
)

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


class BiasedAttention(nn.Module):
    """Multi-head self-attention with a relative position bias."""

    def __init__(self, width: int, heads: int, side: int) -> None:
        super().__init__()
        self.heads = heads
        self.qkv = nn.Linear(width, 3 * width)
        self.proj = nn.Linear(width, width)
        self.rel_pos_bias = RelativePositionBias(side, heads)

    def forward(self, x: Tensor, kept: Tensor | None, change: Perturbation | None = None) -> Tensor:
        batch, tokens, width = x.shape
        qkv = self.qkv(x).reshape(batch, tokens, 3, self.heads, width // self.heads)
        query, key, value = qkv.permute(2, 0, 3, 1, 4).unbind(0)
        bias = self.rel_pos_bias(kept).to(query.dtype)
        mixed = attend(query, key, value, change, bias)
        return self.proj(mixed.transpose(1, 2).reshape(batch, tokens, width))


class MDTBlock(nn.Module):
    """A DiT block with biased attention; with `skip`, an earlier activation is mixed in first."""

    def __init__(self, width: int, heads: int, side: int, skip: bool = False) -> None:
        super().__init__()
        self.norm1 = nn.LayerNorm(width, elementwise_affine=False, eps=1e-6)
        self.attn = BiasedAttention(width, heads, side)
        self.norm2 = nn.LayerNorm(width, elementwise_affine=False, eps=1e-6)
        self.mlp = MLP(width)
        self.adaLN_modulation = nn.Sequential(nn.SiLU(), nn.Linear(width, 6 * width))
        self.skip_linear = nn.Linear(2 * width, width) if skip else None

    def forward(
        self,
        x: Tensor,
        condition: Tensor,
        kept: Tensor | None,
        skip: Tensor | None = None,
        change: Perturbation | None = None,
    ) -> Tensor:
        if self.skip_linear is not None and skip is not None:
            x = self.skip_linear(torch.cat([x, skip], dim=-1))
        shift_a, scale_a, gate_a, shift_m, scale_m, gate_m = self.adaLN_modulation(condition).chunk(6, dim=1)
        x = torch.addcmul(x, gate_a.unsqueeze(1), self.attn(modulate(self.norm1(x), shift_a, scale_a), kept, change))
        return torch.addcmul(x, gate_m.unsqueeze(1), self.mlp(modulate(self.norm2(x), shift_m, scale_m)))


class MDTv2(nn.Module):
    """Denoiser of the `mdtv2` family; see `networks/denoiser.py` for the contract."""

    def __init__(self, architecture: MDTv2Architecture) -> None:
        super().__init__()
        a = architecture
        self.architecture = a
        width, heads, side = a.hidden_size, a.num_heads, a.input_size // a.patch_size
        half = a.encoder_half_depth
        self.x_embedder = PatchEmbed(a.patch_size, a.in_channels, width)
        self.t_embedder = TimestepEmbedder(width)
        self.y_embedder = LabelEmbedder(a.num_classes, width)
        self.pos_embed = nn.Parameter(sincos_positions(width, side))
        self.en_inblocks = nn.ModuleList(MDTBlock(width, heads, side) for _ in range(half))
        self.en_outblocks = nn.ModuleList(MDTBlock(width, heads, side, skip=True) for _ in range(half))
        self.sideblocks = nn.ModuleList([MDTBlock(width, heads, side)])
        self.de_blocks = nn.ModuleList(MDTBlock(width, heads, side, skip=True) for _ in range(a.decoder_depth))
        self.decoder_pos_embed = nn.Parameter(sincos_positions(width, side))
        self.mask_token = nn.Parameter(torch.zeros(1, 1, width))
        self.final_layer = FinalLayer(width, a.patch_size**2 * a.out_channels, width)
        initialise(self)
        nn.init.normal_(self.mask_token, std=0.02)

    def forward(
        self,
        x: Tensor,
        t: Tensor,
        condition: Tensor,
        tokens: Tensor | None = None,
        change: Perturbation | None = None,
    ) -> Tensor:
        a = self.architecture
        embedded = self.x_embedder(x) + self.pos_embed
        c = self.t_embedder(t * a.time_scale) + self.y_embedder(condition)
        h = embedded if tokens is None else gather_tokens(embedded, tokens)
        skips: list[Tensor] = []
        for layer, block in enumerate(self.en_inblocks):
            h = run_block(block, layer, change, h, c, tokens)
            skips.append(h)
        for layer, block in enumerate(self.en_outblocks, start=a.encoder_half_depth):
            h = run_block(block, layer, change, h, c, tokens, skips.pop())
        h = h + self.decoder_pos_embed if tokens is None else self._fill_in(h, c, tokens)
        for layer, block in enumerate(self.de_blocks, start=2 * a.encoder_half_depth):
            h = run_block(block, layer, change, h, c, None, embedded)
        return unpatchify(self.final_layer(h, c), a.patch_size, a.out_channels)

    def _fill_in(self, h: Tensor, c: Tensor, tokens: Tensor) -> Tensor:
        """All tokens again (B, N, D): kept ones as they were, the others from the side block."""
        stand_in = self.mask_token.to(h.dtype).expand(h.shape[0], self.architecture.grid_tokens, -1)
        before = scatter_tokens(stand_in, tokens, h) + self.decoder_pos_embed
        after = self.sideblocks[0](before, c, None)
        return scatter_tokens(after, tokens, gather_tokens(before, tokens))
