"""SPRINT: dropped tokens skip the middle; a learned token stands in, and dense features are fused back in after it."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from sgbench.guidance.perturbation import Perturbation
from sgbench.models.families.sprint import SprintArchitecture
from sgbench.networks.dit import LabelEmbedder
from sgbench.networks.layers import (
    MLP,
    FinalLayer,
    TimestepEmbedder,
    attend,
    gather_tokens,
    initialise,
    modulate,
    run_block,
    scatter_tokens,
    unpatchify_channels_first,
)


class LinearPatchEmbed(nn.Module):
    """Image (B, C, H, W) to tokens (B, N, D): patches laid out (c, p, q), then a linear map."""

    def __init__(self, patch: int, channels: int, width: int) -> None:
        super().__init__()
        self.patch = patch
        self.proj = nn.Linear(patch**2 * channels, width)

    def forward(self, x: Tensor) -> Tensor:
        return self.proj(F.unfold(x, self.patch, stride=self.patch).transpose(1, 2))


def rotary_table(side: int, head_width: int) -> tuple[Tensor, Tensor]:
    """Cosines and sines (side * side, head_width) of the axial rotary embedding, rows in the first half."""
    pairs = head_width // 4
    frequency = 1.0 / 10000 ** (torch.arange(pairs, dtype=torch.float32) * 2 / (head_width // 2))
    angles = (torch.arange(side, dtype=torch.float32)[:, None] * frequency).repeat_interleave(2, dim=1)
    rows = angles[:, None].expand(side, side, -1)
    columns = angles[None].expand(side, side, -1)
    table = torch.cat([rows, columns], dim=-1).reshape(side * side, head_width)
    return table.cos(), table.sin()


def rotate(x: Tensor, cosines: Tensor, sines: Tensor) -> Tensor:
    """Rotate neighbouring pairs of channels: x (B, heads, N, d), tables (N, d) or (B, 1, N, d)."""
    even, odd = x.unflatten(-1, (-1, 2)).unbind(-1)
    turned = torch.stack([-odd, even], dim=-1).flatten(-2)
    return (x * cosines + turned * sines).to(x.dtype)


class RotaryAttention(nn.Module):
    """Self-attention with per-head RMS norm on query and key and a rotary position embedding."""

    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.qkv = nn.Linear(width, 3 * width)
        self.q_norm = nn.RMSNorm(width // heads, eps=1e-6)
        self.k_norm = nn.RMSNorm(width // heads, eps=1e-6)
        self.proj = nn.Linear(width, width)

    def forward(self, x: Tensor, cosines: Tensor, sines: Tensor, change: Perturbation | None = None) -> Tensor:
        batch, tokens, width = x.shape
        qkv = self.qkv(x).reshape(batch, tokens, 3, self.heads, width // self.heads)
        query, key, value = qkv.permute(2, 0, 3, 1, 4).unbind(0)
        # In the norm's own precision: autocast leaves its gain as it is.
        precise = self.q_norm.weight.dtype
        query = rotate(self.q_norm(query.to(precise)), cosines, sines).to(value.dtype)
        key = rotate(self.k_norm(key.to(precise)), cosines, sines).to(value.dtype)
        mixed = attend(query, key, value, change)
        return self.proj(mixed.transpose(1, 2).reshape(batch, tokens, width))


class SprintBlock(nn.Module):
    """A DiT block with rotary attention."""

    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.norm1 = nn.LayerNorm(width, elementwise_affine=False, eps=1e-6)
        self.attn = RotaryAttention(width, heads)
        self.norm2 = nn.LayerNorm(width, elementwise_affine=False, eps=1e-6)
        self.mlp = MLP(width)
        self.adaLN_modulation = nn.Sequential(nn.SiLU(), nn.Linear(width, 6 * width))

    def forward(
        self, x: Tensor, condition: Tensor, cosines: Tensor, sines: Tensor, change: Perturbation | None = None
    ) -> Tensor:
        shift_a, scale_a, gate_a, shift_m, scale_m, gate_m = self.adaLN_modulation(condition).chunk(6, dim=1)
        mixed = self.attn(modulate(self.norm1(x), shift_a, scale_a), cosines, sines, change)
        x = torch.addcmul(x, gate_a.unsqueeze(1), mixed)
        return torch.addcmul(x, gate_m.unsqueeze(1), self.mlp(modulate(self.norm2(x), shift_m, scale_m)))


class Sprint(nn.Module):
    """Denoiser of the `sprint` family; see `networks/denoiser.py` for the contract.

    No token kept (tokens of shape (B, 0)) is SPRINT's path drop: the middle blocks do not run at all.
    """

    cosines: Tensor
    sines: Tensor

    def __init__(self, architecture: SprintArchitecture) -> None:
        super().__init__()
        a = architecture
        self.architecture = a
        width, heads = a.hidden_size, a.num_heads
        self.x_embedder = LinearPatchEmbed(a.patch_size, a.in_channels, width)
        self.t_embedder = TimestepEmbedder(width)
        self.y_embedder = LabelEmbedder(a.num_classes, width)
        self.encoder_blocks = nn.ModuleList(SprintBlock(width, heads) for _ in range(a.encoder_depth))
        self.middle_blocks = nn.ModuleList(SprintBlock(width, heads) for _ in range(a.middle_depth))
        self.decoder_blocks = nn.ModuleList(SprintBlock(width, heads) for _ in range(a.decoder_depth))
        self.mask_token = nn.Parameter(torch.randn(1, 1, width) * 0.02, requires_grad=False)
        self.renoise_linear = nn.Linear(2 * width, width)
        self.final_layer = FinalLayer(width, a.patch_size**2 * a.out_channels, width)
        initialise(self)
        cosines, sines = rotary_table(a.input_size // a.patch_size, width // heads)
        self.register_buffer("cosines", cosines, persistent=False)
        self.register_buffer("sines", sines, persistent=False)

    def forward(
        self,
        x: Tensor,
        t: Tensor,
        condition: Tensor,
        tokens: Tensor | None = None,
        change: Perturbation | None = None,
    ) -> Tensor:
        a = self.architecture
        h = self.x_embedder(x)
        c = self.t_embedder(t * a.time_scale) + self.y_embedder(condition)
        every = (self.cosines, self.sines)
        for layer, block in enumerate(self.encoder_blocks):
            h = run_block(block, layer, change, h, c, *every)
        deep = self._middle(h, c, tokens, change)
        h = self.renoise_linear(torch.cat([deep, h], dim=-1))
        for layer, block in enumerate(self.decoder_blocks, start=a.encoder_depth + a.middle_depth):
            h = run_block(block, layer, change, h, c, *every)
        return unpatchify_channels_first(self.final_layer(h, c), a.patch_size, a.out_channels)

    def _middle(self, h: Tensor, c: Tensor, tokens: Tensor | None, change: Perturbation | None) -> Tensor:
        """The middle blocks on the kept tokens; the learned token elsewhere. (B, N, D)"""
        layers = list(enumerate(self.middle_blocks, start=self.architecture.encoder_depth))
        if tokens is None:
            for layer, block in layers:
                h = run_block(block, layer, change, h, c, self.cosines, self.sines)
            return h
        stand_in = self.mask_token.to(h.dtype).expand_as(h)
        if tokens.shape[1] == 0:
            return stand_in
        cosines, sines = self.cosines[tokens].unsqueeze(1), self.sines[tokens].unsqueeze(1)
        part = gather_tokens(h, tokens)
        for layer, block in layers:
            part = run_block(block, layer, change, part, c, cosines, sines)
        return scatter_tokens(stand_in, tokens, part)
