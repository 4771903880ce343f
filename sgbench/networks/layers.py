"""The parts that DiT-style transformers are made of. Names follow the published state dicts."""

from __future__ import annotations

import math
from typing import assert_never

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from sgbench.guidance.perturbation import Perturbation

FREQUENCIES = 256


def modulate(x: Tensor, shift: Tensor, scale: Tensor) -> Tensor:
    """Apply an affine map: x (B, N, D), shift and scale (B, D), or (1, D) where all samples share it."""
    return torch.addcmul(shift.unsqueeze(1), x, 1 + scale.unsqueeze(1))


class PatchEmbed(nn.Module):
    """Image (B, C, H, W) to tokens (B, N, D) by a strided convolution."""

    def __init__(self, patch: int, channels: int, width: int) -> None:
        super().__init__()
        self.proj = nn.Conv2d(channels, width, kernel_size=patch, stride=patch)

    def forward(self, x: Tensor) -> Tensor:
        return self.proj(x).flatten(2).transpose(1, 2)


class TimestepEmbedder(nn.Module):
    """Sinusoidal features of t (cosines first, then sines), then a two-layer MLP."""

    def __init__(self, width: int, frequencies: int = FREQUENCIES, activation: nn.Module | None = None) -> None:
        super().__init__()
        self.frequencies = frequencies
        self.mlp = nn.Sequential(nn.Linear(frequencies, width), activation or nn.SiLU(), nn.Linear(width, width))

    def forward(self, t: Tensor) -> Tensor:
        half = self.frequencies // 2
        exponent = torch.arange(half, dtype=torch.float32, device=t.device) / half
        angles = t.float()[:, None] * torch.exp(-math.log(10000.0) * exponent)[None]
        features = torch.cat([angles.cos(), angles.sin()], dim=-1)
        return self.mlp(features.to(next(self.mlp.parameters()).dtype))


def attend(
    query: Tensor,
    key: Tensor,
    value: Tensor,
    change: Perturbation | None = None,
    bias: Tensor | None = None,
    words: int = 0,
) -> Tensor:
    """Attention (B, heads, N, d), or what a perturbation makes of it: the values, or attention of blurred queries.

    The first `words` tokens are no part of the image and are never perturbed.
    """
    if change is None:
        return F.scaled_dot_product_attention(query, key, value, attn_mask=bias)
    match change.kind:
        case "identity":
            perturbed = value[:, :, words:]
        case "blur":
            blurred = blur_queries(query[:, :, words:], change.sigma)
            perturbed = F.scaled_dot_product_attention(blurred, key, value, attn_mask=bias)
        case "skip":
            raise ValueError("a skipped block has no attention")
        case _:
            assert_never(change.kind)
    if not words:
        return perturbed
    return torch.cat([F.scaled_dot_product_attention(query[:, :, :words], key, value), perturbed], dim=2)


def blur_queries(query: Tensor, sigma: float) -> Tensor:
    """Queries (B, heads, N, d) blurred over the square grid of tokens; the mean query at infinite sigma.

    A separable Gaussian whose weights add up to 1 at every token, also at the border (arXiv 2408.00760, section 4).
    """
    if math.isinf(sigma):
        return query.mean(dim=2, keepdim=True).expand_as(query)
    side = math.isqrt(query.shape[2])
    place = torch.arange(side, device=query.device, dtype=query.dtype)
    # Column j holds the weights with which the tokens of a row, or of a column, enter token j.
    kernel = torch.softmax(-((place[:, None] - place[None]) ** 2) / (2 * sigma**2), dim=0)
    grid = query.unflatten(2, (side, side)).transpose(2, 4)
    return (grid @ kernel).transpose(3, 4).matmul(kernel).permute(0, 1, 3, 4, 2).flatten(2, 3)


class Attention(nn.Module):
    """Multi-head self-attention with one fused projection for query, key and value; `words` as in `attend`."""

    def __init__(self, width: int, heads: int, words: int = 0) -> None:
        super().__init__()
        self.heads, self.words = heads, words
        self.qkv = nn.Linear(width, 3 * width)
        self.proj = nn.Linear(width, width)

    def forward(self, x: Tensor, change: Perturbation | None = None) -> Tensor:
        batch, tokens, width = x.shape
        qkv = self.qkv(x).reshape(batch, tokens, 3, self.heads, width // self.heads)
        query, key, value = qkv.permute(2, 0, 3, 1, 4).unbind(0)
        mixed = attend(query, key, value, change, words=self.words)
        return self.proj(mixed.transpose(1, 2).reshape(batch, tokens, width))


class MLP(nn.Module):
    """Two linear layers with a tanh-approximated GELU between, four times as wide inside."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.fc1 = nn.Linear(width, 4 * width)
        self.fc2 = nn.Linear(4 * width, width)

    def forward(self, x: Tensor) -> Tensor:
        return self.fc2(F.gelu(self.fc1(x), approximate="tanh"))


class Block(nn.Module):
    """A transformer block with adaptive layer norm (adaLN-Zero); the condition may have another width."""

    def __init__(self, width: int, heads: int, condition_width: int, words: int = 0) -> None:
        super().__init__()
        self.norm1 = nn.LayerNorm(width, elementwise_affine=False, eps=1e-6)
        self.attn = Attention(width, heads, words)
        self.norm2 = nn.LayerNorm(width, elementwise_affine=False, eps=1e-6)
        self.mlp = MLP(width)
        self.adaLN_modulation = nn.Sequential(nn.SiLU(), nn.Linear(condition_width, 6 * width))

    def forward(self, x: Tensor, condition: Tensor, change: Perturbation | None = None) -> Tensor:
        shift_a, scale_a, gate_a, shift_m, scale_m, gate_m = self.adaLN_modulation(condition).chunk(6, dim=1)
        x = torch.addcmul(x, gate_a.unsqueeze(1), self.attn(modulate(self.norm1(x), shift_a, scale_a), change))
        return torch.addcmul(x, gate_m.unsqueeze(1), self.mlp(modulate(self.norm2(x), shift_m, scale_m)))


class FinalLayer(nn.Module):
    """Modulated norm and a linear map: to patches at the end, or to the decoder's width."""

    def __init__(self, width: int, out: int, condition_width: int) -> None:
        super().__init__()
        self.norm_final = nn.LayerNorm(width, elementwise_affine=False, eps=1e-6)
        self.linear = nn.Linear(width, out)
        self.adaLN_modulation = nn.Sequential(nn.SiLU(), nn.Linear(condition_width, 2 * width))

    def forward(self, x: Tensor, condition: Tensor) -> Tensor:
        shift, scale = self.adaLN_modulation(condition).chunk(2, dim=1)
        return self.linear(modulate(self.norm_final(x), shift, scale))


def run_block(block: nn.Module, layer: int, change: Perturbation | None, h: Tensor, *context: Tensor | None) -> Tensor:
    """A block as it is, with its attention perturbed, or not at all. `layer` is its number in the network."""
    if change is None:
        return block(h, *context)
    return h if change.skips(layer) else block(h, *context, change=change.attention(layer))


def gather_tokens(x: Tensor, kept: Tensor) -> Tensor:
    """The kept tokens only: x (B, N, D), kept (B, K) -> (B, K, D)."""
    return x.gather(1, kept.unsqueeze(-1).expand(-1, -1, x.shape[-1]))


def scatter_tokens(full: Tensor, kept: Tensor, part: Tensor) -> Tensor:
    """A copy of full (B, N, D) with part (B, K, D) written at the kept positions."""
    return full.scatter(1, kept.unsqueeze(-1).expand(-1, -1, full.shape[-1]), part.to(full.dtype))


def unpatchify(tokens: Tensor, patch: int, channels: int) -> Tensor:
    """Tokens (B, N, patch * patch * channels), laid out (p, q, c), to images (B, C, H, W)."""
    batch, count, _ = tokens.shape
    side = math.isqrt(count)
    grid = tokens.reshape(batch, side, side, patch, patch, channels)
    return grid.permute(0, 5, 1, 3, 2, 4).reshape(batch, channels, side * patch, side * patch)


def unpatchify_channels_first(tokens: Tensor, patch: int, channels: int) -> Tensor:
    """Tokens (B, N, channels * patch * patch), laid out (c, p, q), to images (B, C, H, W)."""
    side = math.isqrt(tokens.shape[1])
    return F.fold(tokens.transpose(1, 2), side * patch, patch, stride=patch)


def sincos_positions(width: int, side: int, shrink: float = 1.0) -> Tensor:
    """Fixed two-dimensional sine-cosine positions (1, side * side, width), column coordinate first.

    Coordinates are divided by `shrink`: a model made for a grid half as wide keeps its range with 2.
    """
    omega = 1.0 / 10000 ** (torch.arange(width // 4, dtype=torch.float64) / (width // 4))
    steps = torch.arange(side, dtype=torch.float64) / shrink
    rows, columns = torch.meshgrid(steps, steps, indexing="ij")
    parts = []
    for coordinate in (columns, rows):
        angles = coordinate.reshape(-1)[:, None] * omega[None]
        parts += [angles.sin(), angles.cos()]
    return torch.cat(parts, dim=1).float().unsqueeze(0)


def initialise(model: nn.Module) -> None:
    """DiT's initial values: Xavier linears, small embeddings, zero modulation and zero output."""
    for name, module in model.named_modules():
        if isinstance(module, nn.Linear):
            nn.init.xavier_uniform_(module.weight)
            if module.bias is not None:
                nn.init.zeros_(module.bias)
        elif isinstance(module, nn.Embedding):
            nn.init.normal_(module.weight, std=0.02)
        elif isinstance(module, PatchEmbed):
            nn.init.xavier_uniform_(module.proj.weight.view(module.proj.weight.shape[0], -1))
            if module.proj.bias is not None:
                nn.init.zeros_(module.proj.bias)
        elif isinstance(module, TimestepEmbedder):
            for linear in (module.mlp[0], module.mlp[2]):
                assert isinstance(linear, nn.Linear)
                nn.init.normal_(linear.weight, std=0.02)
        if isinstance(module, nn.Linear) and (name.endswith("adaLN_modulation.1") or name == "final_layer.linear"):
            nn.init.zeros_(module.weight)
            nn.init.zeros_(module.bias)
