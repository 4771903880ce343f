"""SPRINT: dropped tokens skip the middle, where a learned token replaces them; dense features are fused in after it."""

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from sgbench.guidance.perturbation import Perturbation
from sgbench.models.families.sprint import SprintArchitecture
from sgbench.networks import layers
from sgbench.networks.denoiser import Denoiser, LabelEmbedder
from sgbench.networks.rotary import rotary_table, rotate


class LinearPatchEmbed(nn.Module):
    """Image (B, C, H, W) to tokens (B, N, D): patches laid out (c, p, q), then a linear map."""

    def __init__(self, patch: int, channels: int, width: int) -> None:
        super().__init__()
        self.patch = patch
        self.proj = nn.Linear(patch**2 * channels, width)

    def forward(self, x: Tensor) -> Tensor:
        return self.proj(F.unfold(x, self.patch, stride=self.patch).transpose(1, 2))


class RotaryAttention(layers.Attention):
    """Self-attention with per-head RMS norm on query and key and a rotary position embedding."""

    def __init__(self, width: int, heads: int) -> None:
        super().__init__(width, heads)
        self.q_norm = nn.RMSNorm(width // heads, eps=1e-6)
        self.k_norm = nn.RMSNorm(width // heads, eps=1e-6)

    def with_positions(self, query: Tensor, key: Tensor, *positions: Any) -> tuple[Tensor, Tensor, Tensor | None]:
        cosines, sines = positions
        # In the norm's own precision: autocast leaves its gain as it is.
        precise = self.q_norm.weight.dtype
        rotated = rotate(self.q_norm(query.to(precise)), cosines, sines).to(query.dtype)
        return rotated, rotate(self.k_norm(key.to(precise)), cosines, sines).to(key.dtype), None


class Sprint(Denoiser):
    """Denoiser of the `sprint` family; see `networks/denoiser.py` for the contract.

    No token kept (tokens of shape (B, 0)) is SPRINT's path drop: the middle blocks do not run at all.
    """

    architecture: SprintArchitecture
    cosines: Tensor
    sines: Tensor
    unpatchify = staticmethod(layers.unpatchify_channels_first)

    def __init__(self, architecture: SprintArchitecture) -> None:
        super().__init__(architecture)
        a = architecture
        width, heads = a.hidden_size, a.num_heads

        def blocks(depth: int) -> nn.ModuleList:
            return nn.ModuleList(layers.Block(RotaryAttention(width, heads), width, width) for _ in range(depth))

        self.x_embedder = LinearPatchEmbed(a.patch_size, a.in_channels, width)
        self.t_embedder = layers.TimestepEmbedder(width, a.time_scale)
        self.y_embedder = LabelEmbedder(a.num_classes, width)
        self.encoder_blocks = blocks(a.encoder_depth)
        self.middle_blocks = blocks(a.middle_depth)
        self.decoder_blocks = blocks(a.decoder_depth)
        self.mask_token = nn.Parameter(torch.randn(1, 1, width) * 0.02, requires_grad=False)
        self.renoise_linear = nn.Linear(2 * width, width)
        self.final_layer = layers.FinalLayer(width, a.patch_size**2 * a.out_channels, width)
        layers.initialise(self)
        cosines, sines = rotary_table(a.input_size // a.patch_size, width // heads)
        self.register_buffer("cosines", cosines, persistent=False)
        self.register_buffer("sines", sines, persistent=False)

    def embed(self, x: Tensor, t: Tensor, condition: Tensor) -> tuple[Tensor, Tensor]:
        return self.x_embedder(x), self.t_embedder(t) + self.y_embedder(condition)

    def run_blocks(self, h: Tensor, c: Tensor, tokens: Tensor | None, perturbation: Perturbation | None) -> Tensor:
        a = self.architecture
        tables = (self.cosines, self.sines)
        h = layers.run_stack(self.encoder_blocks, 0, perturbation, h, c, *tables)
        if tokens is None:
            deep = layers.run_stack(self.middle_blocks, a.encoder_depth, perturbation, h, c, *tables)
        else:
            # The middle blocks run on the kept tokens, if there are any; the learned token stands in for the others.
            deep = self.mask_token.to(h.dtype).expand_as(h)
            if tokens.shape[1]:
                kept, positions = layers.gather_tokens(h, tokens), [table[tokens].unsqueeze(1) for table in tables]
                kept = layers.run_stack(self.middle_blocks, a.encoder_depth, perturbation, kept, c, *positions)
                deep = layers.scatter_tokens(deep, tokens, kept)
        h = self.renoise_linear(torch.cat([deep, h], dim=-1))
        return layers.run_stack(self.decoder_blocks, a.encoder_depth + a.middle_depth, perturbation, h, c, *tables)
