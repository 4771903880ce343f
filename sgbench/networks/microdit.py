"""MicroDiT: a text-to-image DiT; every patch passes a light mixer before patches are masked (arXiv 2407.15811).

Masked patches are predicted as zeros: the published model was not made for sampling with masked patches. A sparse
branch is meaningful on its kept tokens only, so its use in guidance is marked experimental.
"""

from collections import OrderedDict

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from sgbench.guidance.perturbation import Perturbation
from sgbench.models.families.microdit import TIME_FREQUENCIES, MicroBlock, MicroDiTArchitecture
from sgbench.networks import layers
from sgbench.networks.denoiser import Denoiser


def norm(width: int) -> nn.LayerNorm:
    """Layer norm with a gain and no offset."""
    return nn.LayerNorm(width, eps=1e-6, bias=False)


def mix(query: Tensor, key: Tensor, value: Tensor, heads: int, perturbation: Perturbation | None = None) -> Tensor:
    """Attention over (B, N, D) tensors; query and key are normalised over all heads together."""
    query, key = (F.layer_norm(part, part.shape[-1:], eps=1e-6).to(value.dtype) for part in (query, key))
    query, key, value = (part.unflatten(-1, (heads, -1)).transpose(1, 2) for part in (query, key, value))
    return layers.attend(query, key, value, perturbation).transpose(1, 2).flatten(2)


class SelfAttention(nn.Module):
    """Self-attention whose inner width may differ from the outer one."""

    def __init__(self, width: int, inner: int, head_width: int, bias: bool) -> None:
        super().__init__()
        self.heads = inner // head_width
        self.qkv = nn.Linear(width, 3 * inner, bias=bias)
        self.proj = nn.Linear(inner, width, bias=bias)

    def forward(self, x: Tensor, perturbation: Perturbation | None = None) -> Tensor:
        query, key, value = self.qkv(x).chunk(3, dim=-1)
        return self.proj(mix(query, key, value, self.heads, perturbation))


class CrossAttention(nn.Module):
    """Attention from image tokens (B, N, D) to caption tokens (B, L, D)."""

    def __init__(self, width: int, head_width: int, bias: bool) -> None:
        super().__init__()
        self.heads = width // head_width
        self.q_linear = nn.Linear(width, width, bias=bias)
        self.kv_linear = nn.Linear(width, 2 * width, bias=bias)
        self.proj = nn.Linear(width, width, bias=bias)

    def forward(self, x: Tensor, caption: Tensor) -> Tensor:
        key, value = self.kv_linear(caption).chunk(2, dim=-1)
        return self.proj(mix(self.q_linear(x), key, value, self.heads))


class ExpertChoice(nn.Module):
    """Mixture of experts in which every expert chooses the tokens it scores highest (arXiv 2202.09368)."""

    def __init__(self, width: int, inner: int, experts: int, capacity: float) -> None:
        super().__init__()
        self.capacity = capacity
        self.w1 = nn.Parameter(torch.empty(experts, width, inner))
        self.w2 = nn.Parameter(torch.empty(experts, inner, width))
        self.gate = nn.Linear(width, experts, bias=False)
        nn.init.trunc_normal_(self.w1, std=0.02)
        nn.init.trunc_normal_(self.w2, std=0.02)

    def forward(self, x: Tensor) -> Tensor:
        batch, tokens, width = x.shape
        experts = self.w1.shape[0]
        share = self.gate(x).softmax(dim=-1).transpose(1, 2)
        weight, chosen = share.topk(int(self.capacity * tokens / experts), dim=-1)
        flat = chosen.flatten(1)
        given = layers.gather_tokens(x, flat).unflatten(1, (experts, -1)).transpose(0, 1).flatten(1, 2)
        answer = torch.bmm(F.gelu(torch.bmm(given, self.w1.to(x.dtype))), self.w2.to(x.dtype))
        answer = answer.unflatten(1, (batch, -1)).transpose(0, 1)
        weighted = (weight.unsqueeze(-1) * answer).flatten(1, 2).to(x.dtype)
        return torch.zeros_like(x).scatter_add(1, flat.unsqueeze(-1).expand(-1, -1, width), weighted)


class CaptionMLP(nn.Module):
    """Two linear layers with GELU and a norm between: from channels of the text encoder, or width, to width."""

    def __init__(self, inputs: int, width: int) -> None:
        super().__init__()
        self.fc1 = nn.Linear(inputs, width)
        self.norm = norm(width)
        self.fc2 = nn.Linear(width, width)

    def forward(self, x: Tensor) -> Tensor:
        return self.fc2(self.norm(F.gelu(self.fc1(x), approximate="tanh")))


class Block(nn.Module):
    """Modulated self-attention, cross-attention to the caption, modulated MLP or experts."""

    def __init__(self, sizes: MicroBlock, a: MicroDiTArchitecture) -> None:
        super().__init__()
        width = sizes.width
        self.norm1, self.norm2, self.norm3 = norm(width), norm(width), norm(width)
        self.attn = SelfAttention(width, sizes.attention_width, a.head_dim, a.use_bias)
        self.cross_attn = CrossAttention(width, a.head_dim, a.use_bias)
        self.mlp: nn.Module = (
            ExpertChoice(width, sizes.mlp_width, a.num_experts, a.expert_capacity)
            if sizes.experts
            else layers.GatedMLP(width, sizes.mlp_width, a.use_bias)
        )
        self.adaLN_modulation = nn.Sequential(nn.GELU(approximate="tanh"), nn.Linear(a.hidden_size, 6 * width))

    def forward(
        self, x: Tensor, caption: Tensor, condition: Tensor, perturbation: Perturbation | None = None
    ) -> Tensor:
        shift_a, scale_a, gate_a, shift_m, scale_m, gate_m = self.adaLN_modulation(condition).chunk(6, dim=1)
        mixed = self.attn(layers.modulate(self.norm1(x), shift_a, scale_a), perturbation)
        x = torch.addcmul(x, gate_a.unsqueeze(1), mixed)
        x = x + self.cross_attn(self.norm2(x), caption)
        return torch.addcmul(x, gate_m.unsqueeze(1), self.mlp(layers.modulate(self.norm3(x), shift_m, scale_m)))


def _change_width(inputs: int, outputs: int, bias: bool) -> nn.Module:
    if inputs == outputs:
        return nn.Identity()
    return nn.Sequential(norm(inputs), nn.Linear(inputs, outputs, bias=bias))


class MicroDiT(Denoiser):
    """Denoiser of the `microdit` family; its condition is a caption embedding (B, L, caption_channels)."""

    architecture: MicroDiTArchitecture
    pos_embed: Tensor
    mask_token: Tensor

    def __init__(self, architecture: MicroDiTArchitecture) -> None:
        super().__init__(architecture)
        a = architecture
        width, light = a.hidden_size, a.patch_mixer_dim
        self.x_embedder = layers.PatchEmbed(a.patch_size, a.in_channels, width)
        self.t_embedder = layers.TimestepEmbedder(width, a.time_scale, TIME_FREQUENCIES, nn.GELU(approximate="tanh"))
        positions = layers.sincos_positions(width, a.input_size // a.patch_size, a.pos_interp_scale)
        self.register_buffer("pos_embed", positions)
        self.y_embedder = nn.Sequential(OrderedDict(y_proj=CaptionMLP(a.caption_channels, width)))
        self.y_emb_preprocess = layers.PlainBlock(
            norm(width),
            SelfAttention(width, width, a.head_dim, a.use_bias),
            norm(width),
            layers.GatedMLP(width, a.caption_mlp_width, a.use_bias),
        )
        self.pooled_y_emb_process = CaptionMLP(width, width)
        self.patch_mixer = nn.ModuleList(Block(sizes, a) for sizes in a.mixer_blocks)
        self.patch_mixer_map_xin = _change_width(width, light, a.use_bias)
        self.patch_mixer_map_xout = _change_width(light, width, a.use_bias)
        self.patch_mixer_map_y = _change_width(width, light, a.use_bias)
        self.blocks = nn.ModuleList(Block(sizes, a) for sizes in a.backbone_blocks)
        self.register_buffer("mask_token", torch.zeros(1, 1, a.patch_values))
        self.final_layer = layers.FinalLayer(width, a.patch_values, width, norm(width), nn.GELU(approximate="tanh"))

    def forward(
        self,
        x: Tensor,
        t: Tensor,
        condition: Tensor,
        tokens: Tensor | None = None,
        perturbation: Perturbation | None = None,
    ) -> Tensor:
        a = self.architecture
        caption = self.y_emb_preprocess(self.y_embedder(condition))
        c = self.t_embedder(t) + self.pooled_y_emb_process(caption.mean(dim=1))
        h = self.patch_mixer_map_xin(self.x_embedder(x) + self.pos_embed)
        h = layers.run_stack(self.patch_mixer, 0, None, h, self.patch_mixer_map_y(caption), c)
        if tokens is not None:
            h = layers.gather_tokens(h, tokens)
        h = self.patch_mixer_map_xout(h)
        patches = self.final_layer(layers.run_stack(self.blocks, 0, perturbation, h, caption, c), c)
        if tokens is not None:
            patches = layers.scatter_tokens(self.mask_token.expand(h.shape[0], a.grid_tokens, -1), tokens, patches)
        return layers.unpatchify(patches, a.patch_size)
