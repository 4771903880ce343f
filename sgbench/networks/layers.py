"""The parts that DiT-style transformers are made of. Names follow the published state dicts."""

import math
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from sgbench.guidance.perturbation import Perturbation

FREQUENCIES = 256
# Of the last layer, and of that of an inner head.
LAST_LINEAR = ("final_layer.linear", "final_layer_xr.linear")


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
    """Sinusoidal features of scale t (cosines first, then sines), then a two-layer MLP."""

    def __init__(
        self, width: int, scale: float = 1.0, frequencies: int = FREQUENCIES, activation: nn.Module | None = None
    ) -> None:
        super().__init__()
        self.scale, self.frequencies = scale, frequencies
        self.mlp = nn.Sequential(nn.Linear(frequencies, width), activation or nn.SiLU(), nn.Linear(width, width))

    def forward(self, t: Tensor) -> Tensor:
        half = self.frequencies // 2
        exponent = torch.arange(half, dtype=torch.float32, device=t.device) / half
        angles = (t * self.scale).float()[:, None] * torch.exp(-math.log(10000.0) * exponent)[None]
        features = torch.cat([angles.cos(), angles.sin()], dim=-1)
        return self.mlp(features.to(next(self.mlp.parameters()).dtype))


def attend(
    query: Tensor,
    key: Tensor,
    value: Tensor,
    perturbation: Perturbation | None = None,
    bias: Tensor | None = None,
    words: int = 0,
) -> Tensor:
    """Attention (B, heads, N, d), or what a perturbation makes of that of image tokens.

    The first `words` tokens are not part of the image and are never perturbed.
    """
    if perturbation is None:
        return F.scaled_dot_product_attention(query, key, value, attn_mask=bias)
    perturbed = perturbation.attention(query[:, :, words:], key, value, bias)
    if not words:
        return perturbed
    return torch.cat([F.scaled_dot_product_attention(query[:, :, :words], key, value), perturbed], dim=2)


class Attention(nn.Module):
    """Multi-head self-attention with one fused projection for query, key and value; `words` as in `attend`."""

    def __init__(self, width: int, heads: int, words: int = 0, bias: bool = True) -> None:
        super().__init__()
        self.heads, self.words = heads, words
        self.qkv = nn.Linear(width, 3 * width, bias=bias)
        self.proj = nn.Linear(width, width, bias=bias)

    def forward(self, x: Tensor, *positions: Any, perturbation: Perturbation | None = None) -> Tensor:
        batch, tokens, width = x.shape
        qkv = self.qkv(x).reshape(batch, tokens, 3, self.heads, width // self.heads)
        query, key, value = qkv.permute(2, 0, 3, 1, 4).unbind(0)
        query, key, bias = self.with_positions(query, key, *positions)
        mixed = attend(query, key, value, perturbation, bias, self.words)
        return self.proj(mixed.transpose(1, 2).reshape(batch, tokens, width))

    def with_positions(self, query: Tensor, key: Tensor, *positions: Any) -> tuple[Tensor, Tensor, Tensor | None]:
        """Query and key (B, heads, N, d) once they know their positions, and a bias on their products."""
        return query, key, None


class MLP(nn.Module):
    """Two linear layers with a tanh-approximated GELU between, four times as wide inside."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.fc1 = nn.Linear(width, 4 * width)
        self.fc2 = nn.Linear(4 * width, width)

    def forward(self, x: Tensor) -> Tensor:
        return self.fc2(F.gelu(self.fc1(x), approximate="tanh"))


class GatedMLP(nn.Module):
    """w3(silu(w1 x) * w2 x)."""

    def __init__(self, width: int, inner: int, bias: bool) -> None:
        super().__init__()
        self.w1 = nn.Linear(width, inner, bias=bias)
        self.w2 = nn.Linear(width, inner, bias=bias)
        self.w3 = nn.Linear(inner, width, bias=bias)

    def forward(self, x: Tensor) -> Tensor:
        return self.w3(F.silu(self.w1(x)) * self.w2(x))


class Block(nn.Module):
    """A transformer block with adaptive layer norm (adaLN-Zero); the condition may have another width."""

    def __init__(self, attention: nn.Module, width: int, condition_width: int) -> None:
        super().__init__()
        self.norm1 = nn.LayerNorm(width, elementwise_affine=False, eps=1e-6)
        self.attn = attention
        self.norm2 = nn.LayerNorm(width, elementwise_affine=False, eps=1e-6)
        self.mlp = MLP(width)
        self.adaLN_modulation = nn.Sequential(nn.SiLU(), nn.Linear(condition_width, 6 * width))

    def forward(
        self, x: Tensor, condition: Tensor, *positions: Any, perturbation: Perturbation | None = None
    ) -> Tensor:
        shift_a, scale_a, gate_a, shift_m, scale_m, gate_m = self.adaLN_modulation(condition).chunk(6, dim=1)
        mixed = self.attn(modulate(self.norm1(x), shift_a, scale_a), *positions, perturbation=perturbation)
        x = torch.addcmul(x, gate_a.unsqueeze(1), mixed)
        return torch.addcmul(x, gate_m.unsqueeze(1), self.mlp(modulate(self.norm2(x), shift_m, scale_m)))


class PlainBlock(nn.Module):
    """A transformer block without a condition, for captions."""

    def __init__(self, norm1: nn.Module, attn: nn.Module, norm2: nn.Module, mlp: nn.Module) -> None:
        super().__init__()
        self.norm1, self.attn, self.norm2, self.mlp = norm1, attn, norm2, mlp

    def forward(self, x: Tensor) -> Tensor:
        x = x + self.attn(self.norm1(x))
        return x + self.mlp(self.norm2(x))


class FinalLayer(nn.Module):
    """Modulated norm and a linear map: to patches at the end, or to the decoder's width."""

    def __init__(
        self,
        width: int,
        out: int,
        condition_width: int,
        norm: nn.Module | None = None,
        activation: nn.Module | None = None,
    ) -> None:
        super().__init__()
        self.norm_final = norm or nn.LayerNorm(width, elementwise_affine=False, eps=1e-6)
        self.linear = nn.Linear(width, out)
        self.adaLN_modulation = nn.Sequential(activation or nn.SiLU(), nn.Linear(condition_width, 2 * width))

    def forward(self, x: Tensor, condition: Tensor) -> Tensor:
        shift, scale = self.adaLN_modulation(condition).chunk(2, dim=1)
        return self.linear(modulate(self.norm_final(x), shift, scale))


def run_block(
    block: nn.Module, layer: int, perturbation: Perturbation | None, h: Tensor, *context: Any, **named: Any
) -> Tensor:
    """A block as it is, with its attention perturbed, or not at all. `layer` is its number in the network."""
    if perturbation is None or layer not in perturbation.layers:
        return block(h, *context, **named)
    return h if perturbation.skips_blocks else block(h, *context, perturbation=perturbation.at(layer), **named)


def run_stack(blocks: nn.ModuleList, first: int, perturbation: Perturbation | None, h: Tensor, *context: Any) -> Tensor:
    """Blocks one after the other; the first of them is number `first` in the network."""
    for layer, block in enumerate(blocks, start=first):
        h = run_block(block, layer, perturbation, h, *context)
    return h


def gather_tokens(x: Tensor, kept: Tensor) -> Tensor:
    """The kept tokens only: x (B, N, D), kept (B, K) -> (B, K, D)."""
    return x.gather(1, kept.unsqueeze(-1).expand(-1, -1, x.shape[-1]))


def scatter_tokens(full: Tensor, kept: Tensor, part: Tensor) -> Tensor:
    """A copy of full (B, N, D) with part (B, K, D) written at the kept positions."""
    return full.scatter(1, kept.unsqueeze(-1).expand(-1, -1, full.shape[-1]), part.to(full.dtype))


def unpatchify(tokens: Tensor, patch: int) -> Tensor:
    """Tokens (B, N, patch * patch * C), laid out (p, q, c), to images (B, C, H, W)."""
    batch, count, values = tokens.shape
    side, channels = math.isqrt(count), values // patch**2
    grid = tokens.reshape(batch, side, side, patch, patch, channels)
    return grid.permute(0, 5, 1, 3, 2, 4).reshape(batch, channels, side * patch, side * patch)


def unpatchify_channels_first(tokens: Tensor, patch: int) -> Tensor:
    """Tokens (B, N, C * patch * patch), laid out (c, p, q), to images (B, C, H, W)."""
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
        if isinstance(module, nn.Linear) and (name.endswith("adaLN_modulation.1") or name in LAST_LINEAR):
            nn.init.zeros_(module.weight)
            nn.init.zeros_(module.bias)
