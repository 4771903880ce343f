"""MicroDiT (arXiv 2407.15811). No torch."""

from __future__ import annotations

from typing import ClassVar, Literal, NamedTuple

from pydantic import Field, model_validator

from sgbench.models.architectures.base import Architecture, Conditions, Macs, embedding, final, total

TIME_FREQUENCIES = 512


class MicroBlock(NamedTuple):
    """Widths of one MicroDiT block."""

    width: int
    attention_width: int
    mlp_width: int
    experts: bool


class MicroDiTArchitecture(Architecture):
    """MicroDiT: text to image, a patch mixer before the mask, experts in some blocks (arXiv 2407.15811)."""

    network: ClassVar[str] = "sgbench.networks.microdit:MicroDiT"
    conditions: ClassVar[Conditions] = "captions"

    family: Literal["microdit"] = "microdit"
    head_dim: int = Field(gt=0)
    multiple_of: int = Field(gt=0, description="inner widths of MLPs are rounded up to a multiple of this")
    caption_channels: int = Field(gt=0)
    caption_tokens: int = Field(default=77, gt=0, description="length of a caption, for counting")
    pos_interp_scale: float = Field(default=1.0, gt=0)
    qkv_ratios: tuple[float, ...] = Field(description="attention width over width, block by block")
    ffn_ratios: tuple[float, ...] = Field(description="MLP width over width, block by block")
    patch_mixer_depth: int = Field(ge=0)
    patch_mixer_dim: int = Field(gt=0)
    patch_mixer_qkv_ratio: float = Field(gt=0)
    patch_mixer_mlp_ratio: float = Field(gt=0)
    use_bias: bool = False
    num_experts: int = Field(gt=0)
    expert_capacity: float = Field(gt=0)
    experts_every_n: int = Field(gt=0)
    time_scale: float = Field(default=1.0, gt=0)

    @model_validator(mode="after")
    def _one_ratio_per_block(self) -> MicroDiTArchitecture:
        for name in ("qkv_ratios", "ffn_ratios"):
            if len(getattr(self, name)) != self.depth:
                raise ValueError(f"{name} has {len(getattr(self, name))} values for {self.depth} blocks")
        return self

    @property
    def out_channels(self) -> int:
        """As many as it is given."""
        return self.in_channels

    @property
    def caption_mlp_width(self) -> int:
        """Inner width of the gated MLP over the caption."""
        return self._gated(4 * self.hidden_size)

    @property
    def mixer_blocks(self) -> tuple[MicroBlock, ...]:
        """The patch mixer, block by block."""
        return tuple(
            self._block(
                self.patch_mixer_dim,
                self.patch_mixer_qkv_ratio,
                self.patch_mixer_mlp_ratio,
                index > 0 and self._has_experts(index),
            )
            for index in range(self.patch_mixer_depth)
        )

    @property
    def backbone_blocks(self) -> tuple[MicroBlock, ...]:
        """The backbone, block by block; its last one never has experts."""
        return tuple(
            self._block(self.hidden_size, qkv, ffn, self._has_experts(index) and index < self.depth - 1)
            for index, (qkv, ffn) in enumerate(zip(self.qkv_ratios, self.ffn_ratios, strict=True))
        )

    def block_macs(self, kept: int) -> list[Macs]:
        return [self._macs_of(one, kept) for one in self.backbone_blocks]

    def call_macs(self, kept: int) -> Macs:
        grid, width, light, words = self.grid_tokens, self.hidden_size, self.patch_mixer_dim, self.caption_tokens
        caption = Macs(words * (self.caption_channels + width) * width, 0, words * width)
        caption = caption.plus(
            Macs(words * (4 * width**2 + 3 * width * self.caption_mlp_width), 2 * words**2 * width, 4 * words * width)
        )
        found = total(
            embedding(grid, self.patch_values, width, TIME_FREQUENCIES),
            caption,
            Macs(2 * width**2, 0, width),
            *(self._macs_of(one, grid) for one in self.mixer_blocks),
            *self.block_macs(kept),
            final(kept, width, self.patch_values, width),
        )
        if light == width:
            return found
        maps = Macs((grid + kept + words) * width * light, 0, (grid + words) * width + kept * light)
        return found.plus(maps)

    def image_attention(self, layer: int, kept: int) -> int:
        """Blocks also attend to the caption, which is not perturbed."""
        return 2 * kept**2 * self.attention_width(layer)

    def attention_width(self, layer: int) -> int:
        return self.backbone_blocks[layer].attention_width

    @property
    def condition_shape(self) -> tuple[int, ...]:
        return (self.caption_tokens, self.caption_channels)

    def _macs_of(self, one: MicroBlock, tokens: int) -> Macs:
        width, inner, words = one.width, one.attention_width, self.caption_tokens
        linear = 4 * tokens * width * inner + 2 * (tokens + words) * width**2 + 6 * self.hidden_size * width
        attention = 2 * tokens**2 * inner + 2 * tokens * words * width
        normalised = 2 * tokens * inner + (tokens + words) * width + 3 * tokens * width
        if one.experts:
            chosen = int(self.expert_capacity * tokens / self.num_experts)
            linear += tokens * width * self.num_experts + 2 * self.num_experts * chosen * width * one.mlp_width
        else:
            linear += 3 * tokens * width * one.mlp_width
        return Macs(linear, attention, normalised)

    def _has_experts(self, index: int) -> bool:
        return (index + 1) % self.experts_every_n == 0

    def _block(self, width: int, qkv: float, ffn: float, experts: bool) -> MicroBlock:
        attention = width if qkv == 1 else _round_up(int(width * qkv), 2 * self.head_dim)
        inner = int(width * ffn)
        return MicroBlock(
            width, attention, _round_up(inner, self.multiple_of) if experts else self._gated(inner), experts
        )

    def _gated(self, inner: int) -> int:
        return _round_up(int(2 * inner / 3), self.multiple_of)


def _round_up(value: int, multiple: int) -> int:
    return -(-value // multiple) * multiple
