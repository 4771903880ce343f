"""TR-DiT by its description: a text-to-image transformer with routes; rotary positions leave with their tokens."""

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from sgbench.guidance.perturbation import Perturbation
from sgbench.models.families.tr_dit import TRDiTArchitecture
from sgbench.networks import layers
from sgbench.networks.denoiser import Denoiser
from sgbench.networks.rotary import rotary_table, rotate
from sgbench.networks.routing import run_routed


def norm(width: int, gain: bool) -> nn.RMSNorm:
    """RMS norm; where it is modulated it has no gain of its own."""
    return nn.RMSNorm(width, eps=1e-6, elementwise_affine=gain)


class RotaryAttention(layers.Attention):
    """Self-attention without biases whose queries and keys are rotated by their tokens' positions."""

    def __init__(self, width: int, heads: int) -> None:
        super().__init__(width, heads, bias=False)

    def with_positions(self, query: Tensor, key: Tensor, *positions: Any) -> tuple[Tensor, Tensor, Tensor | None]:
        return rotate(query, *positions), rotate(key, *positions), None


class CrossAttention(nn.Module):
    """Attention of image tokens (B, N, D) to words (B, L, D)."""

    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.q = nn.Linear(width, width, bias=False)
        self.kv = nn.Linear(width, 2 * width, bias=False)
        self.proj = nn.Linear(width, width, bias=False)

    def forward(self, x: Tensor, words: Tensor) -> Tensor:
        parts = (self.q(x), *self.kv(words).chunk(2, dim=-1))
        query, key, value = (part.unflatten(-1, (self.heads, -1)).transpose(1, 2) for part in parts)
        return self.proj(F.scaled_dot_product_attention(query, key, value).transpose(1, 2).flatten(2))


class Block(nn.Module):
    """Modulated self-attention, attention to the words, modulated gated MLP."""

    def __init__(self, a: TRDiTArchitecture) -> None:
        super().__init__()
        width = a.hidden_size
        self.norm1, self.norm2, self.norm3 = norm(width, False), norm(width, True), norm(width, False)
        self.attn = RotaryAttention(width, a.num_heads)
        self.cross_attn = CrossAttention(width, a.num_heads)
        self.mlp = layers.GatedMLP(width, a.mlp_width, bias=False)
        self.modulation = nn.Parameter(torch.randn(6, width) / width**0.5)

    def forward(
        self,
        x: Tensor,
        words: Tensor,
        modulation: Tensor,
        positions: tuple[Tensor, Tensor],
        perturbation: Perturbation | None = None,
    ) -> Tensor:
        """x (B, N, D), words (B, L, D), modulation (B, 6, D), positions of the N tokens as in `rotate`."""
        shift_a, scale_a, gate_a, shift_m, scale_m, gate_m = (modulation + self.modulation).unbind(dim=1)
        mixed = self.attn(layers.modulate(self.norm1(x), shift_a, scale_a), *positions, perturbation=perturbation)
        x = torch.addcmul(x, gate_a.unsqueeze(1), mixed)
        x = x + self.cross_attn(self.norm2(x), words)
        return torch.addcmul(x, gate_m.unsqueeze(1), self.mlp(layers.modulate(self.norm3(x), shift_m, scale_m)))


def _caption_block(a: TRDiTArchitecture) -> nn.Module:
    width = a.hidden_size
    attention = layers.Attention(width, a.num_heads, bias=False)
    return layers.PlainBlock(
        norm(width, True), attention, norm(width, True), layers.GatedMLP(width, a.mlp_width, bias=False)
    )


class TRDiT(Denoiser):
    """Denoiser of the `tr-dit` family; its condition is caption embeddings (B, L, caption_channels), B may be 1."""

    architecture: TRDiTArchitecture
    cosines: Tensor
    sines: Tensor

    def __init__(self, architecture: TRDiTArchitecture) -> None:
        super().__init__(architecture)
        a = architecture
        width = a.hidden_size
        self.x_embedder = layers.PatchEmbed(a.patch_size, a.in_channels, width)
        self.t_embedder = layers.TimestepEmbedder(width)
        self.modulation = nn.Sequential(nn.SiLU(), nn.Linear(width, 6 * width))
        self.y_embedder = nn.Linear(a.caption_channels, width, bias=False)
        self.caption_blocks = nn.Sequential(*(_caption_block(a) for _ in range(a.text_depth)))
        self.caption_norm = norm(width, True)
        self.blocks = nn.ModuleList(Block(a) for _ in range(a.depth))
        self.final_layer = layers.FinalLayer(width, a.patch_values, width, norm(width, False))
        cosines, sines = rotary_table(a.input_size // a.patch_size, width // a.num_heads)
        self.register_buffer("cosines", cosines, persistent=False)
        self.register_buffer("sines", sines, persistent=False)

    def forward(
        self,
        x: Tensor,
        t: Tensor,
        condition: Tensor,
        tokens: Tensor | None = None,
        perturbation: Perturbation | None = None,
    ) -> Tensor:
        time = self.t_embedder(t)
        context: dict[str, Any] = {
            "words": self.read(condition).expand(len(x), -1, -1),
            "modulation": self.modulation(time).unflatten(-1, (6, -1)),
            "positions": (self.cosines, self.sines),
        }
        on_route = context
        if tokens is not None:
            on_route = context | {"positions": tuple(table[tokens].unsqueeze(1) for table in context["positions"])}
        # Of the layout that gathered tokens have: kernels round by it, and nothing dropped is the dense call.
        h = self.x_embedder(x).contiguous()
        h = run_routed(self.blocks, self.architecture.routes, h, tokens, perturbation, context, on_route)
        return self.unpatchify(self.final_layer(h, time), self.architecture.patch_size)

    def read(self, condition: Tensor) -> Tensor:
        """Caption embeddings (B, L, C) as the blocks see them (B, L, D)."""
        # In the norms' own precision: autocast leaves their gains as they are.
        words = self.y_embedder(condition).to(self.caption_norm.weight.dtype)
        return self.caption_norm(self.caption_blocks(words))
