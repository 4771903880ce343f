"""A small text-to-image DiT with routes: words and patches attend to each other in every block, words always."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from sgbench.guidance.perturbation import Perturbation
from sgbench.models.embedded import TextDiTArchitecture
from sgbench.networks.layers import (
    MLP,
    Attention,
    Block,
    FinalLayer,
    PatchEmbed,
    TimestepEmbedder,
    gather_tokens,
    initialise,
    run_block,
    scatter_tokens,
    sincos_positions,
    unpatchify,
)


class TextBlock(nn.Module):
    """A plain transformer block over the words."""

    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.norm1 = nn.LayerNorm(width, eps=1e-6)
        self.attn = Attention(width, heads)
        self.norm2 = nn.LayerNorm(width, eps=1e-6)
        self.mlp = MLP(width)

    def forward(self, x: Tensor) -> Tensor:
        x = x + self.attn(self.norm1(x))
        return x + self.mlp(self.norm2(x))


class TextEncoder(nn.Module):
    """Word numbers (B, L) to word states (B, L, D). Padding is a word like any other: all captions are L long."""

    def __init__(self, a: TextDiTArchitecture) -> None:
        super().__init__()
        self.words = nn.Embedding(a.words, a.hidden_size)
        self.places = nn.Embedding(a.caption_tokens, a.hidden_size)
        self.blocks = nn.ModuleList(TextBlock(a.hidden_size, a.num_heads) for _ in range(a.text_depth))
        self.norm = nn.LayerNorm(a.hidden_size, eps=1e-6)

    def forward(self, words: Tensor) -> Tensor:
        h = self.words(words) + self.places.weight
        for block in self.blocks:
            h = block(h)
        return self.norm(h)


class TextDiT(nn.Module):
    """Denoiser of the `textdit` family; its condition is word numbers (B, L)."""

    def __init__(self, architecture: TextDiTArchitecture) -> None:
        super().__init__()
        a = architecture
        self.architecture = a
        width = a.hidden_size
        self.x_embedder = PatchEmbed(a.patch_size, a.in_channels, width)
        self.t_embedder = TimestepEmbedder(width)
        self.text_encoder = TextEncoder(a)
        self.pooled = nn.Linear(width, width)
        self.pos_embed = nn.Parameter(sincos_positions(width, a.input_size // a.patch_size), requires_grad=False)
        self.blocks = nn.ModuleList(Block(width, a.num_heads, width, a.caption_tokens) for _ in range(a.depth))
        self.final_layer = FinalLayer(width, a.patch_size**2 * a.out_channels, width)
        initialise(self)
        # Words start out as far apart as patches do; a 0.02 of class embeddings takes long to tell them apart.
        nn.init.normal_(self.text_encoder.words.weight, std=1.0)

    def forward(
        self,
        x: Tensor,
        t: Tensor,
        condition: Tensor,
        tokens: Tensor | None = None,
        change: Perturbation | None = None,
    ) -> Tensor:
        a = self.architecture
        patches = self.x_embedder(x) + self.pos_embed
        words = self.text_encoder(condition).expand(len(x), -1, -1)
        c = self.t_embedder(t * a.time_scale) + self.pooled(words.mean(dim=1))
        h = torch.cat([words, patches], dim=1)
        kept = None if tokens is None else _with_words(tokens, a.caption_tokens)
        starts = {first for first, _ in a.routes} if kept is not None else set()
        ends = {last for _, last in a.routes} if kept is not None else set()
        waiting = h
        for index, block in enumerate(self.blocks):
            if kept is not None and index in starts:
                waiting, h = h, gather_tokens(h, kept)
            h = run_block(block, index, change, h, c)
            if kept is not None and index in ends:
                h = scatter_tokens(waiting, kept, h)
        return unpatchify(self.final_layer(h[:, a.caption_tokens :], c), a.patch_size, a.out_channels)


def _with_words(tokens: Tensor, words: int) -> Tensor:
    """Indices into words and patches together: every word, and the kept patches (B, K) -> (B, words + K)."""
    every = torch.arange(words, device=tokens.device).expand(len(tokens), -1)
    return torch.cat([every, tokens + words], dim=1)
