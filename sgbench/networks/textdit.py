"""A small text-to-image DiT with routes: words and patches attend to each other in every block, words always."""

import torch
from torch import Tensor, nn

from sgbench.guidance.perturbation import Perturbation
from sgbench.models.embedded import TextDiTArchitecture
from sgbench.networks import layers
from sgbench.networks.denoiser import Denoiser
from sgbench.networks.routing import run_routed


class TextEncoder(nn.Module):
    """Word numbers (B, L) to word states (B, L, D). Padding is a word like any other: all captions are L long."""

    def __init__(self, a: TextDiTArchitecture) -> None:
        super().__init__()
        self.words = nn.Embedding(a.words, a.hidden_size)
        self.places = nn.Embedding(a.caption_tokens, a.hidden_size)
        self.blocks = nn.ModuleList(_text_block(a.hidden_size, a.num_heads) for _ in range(a.text_depth))
        self.norm = nn.LayerNorm(a.hidden_size, eps=1e-6)

    def forward(self, words: Tensor) -> Tensor:
        h = self.words(words) + self.places.weight
        for block in self.blocks:
            h = block(h)
        return self.norm(h)


def _text_block(width: int, heads: int) -> nn.Module:
    norm1, norm2 = nn.LayerNorm(width, eps=1e-6), nn.LayerNorm(width, eps=1e-6)
    return layers.PlainBlock(norm1, layers.Attention(width, heads), norm2, layers.MLP(width))


class TextDiT(Denoiser):
    """Denoiser of the `textdit` family; its condition is word numbers (B, L)."""

    architecture: TextDiTArchitecture

    def __init__(self, architecture: TextDiTArchitecture) -> None:
        super().__init__(architecture)
        a = architecture
        width = a.hidden_size
        self.x_embedder = layers.PatchEmbed(a.patch_size, a.in_channels, width)
        self.t_embedder = layers.TimestepEmbedder(width, a.time_scale)
        self.text_encoder = TextEncoder(a)
        self.pooled = nn.Linear(width, width)
        self.pos_embed = nn.Parameter(layers.sincos_positions(width, a.input_size // a.patch_size), requires_grad=False)
        self.blocks = nn.ModuleList(
            layers.Block(layers.Attention(width, a.num_heads, a.caption_tokens), width, width) for _ in range(a.depth)
        )
        self.final_layer = layers.FinalLayer(width, a.patch_size**2 * a.out_channels, width)
        layers.initialise(self)
        # The deviation of 0.02 of class embeddings would leave words too similar for a long time.
        nn.init.normal_(self.text_encoder.words.weight, std=1.0)

    def embed(self, x: Tensor, t: Tensor, condition: Tensor) -> tuple[Tensor, Tensor]:
        words = self.text_encoder(condition).expand(len(x), -1, -1)
        patches = self.x_embedder(x) + self.pos_embed
        return torch.cat([words, patches], dim=1), self.t_embedder(t) + self.pooled(words.mean(dim=1))

    def run_blocks(self, h: Tensor, c: Tensor, tokens: Tensor | None, perturbation: Perturbation | None) -> Tensor:
        """The states of the patches; words are never routed."""
        words = self.architecture.caption_tokens
        if tokens is not None:
            every_word = torch.arange(words, device=tokens.device).expand(len(tokens), -1)
            tokens = torch.cat([every_word, tokens + words], dim=1)
        context = {"condition": c}
        return run_routed(self.blocks, self.architecture.routes, h, tokens, perturbation, context)[:, words:]
