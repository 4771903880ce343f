"""Architectures as data: every size a cost can depend on, readable without torch.

`plan` counts multiply-accumulates from these records alone; `build.py` turns them into networks.
"""

from __future__ import annotations

from typing import Annotated, Literal, NamedTuple

from pydantic import BaseModel, ConfigDict, Field, model_validator

from sgbench.models.pipeline_architecture import PRXArchitecture
from sgbench.models.text_architecture import Routes, TextDiTArchitecture, check_routes


class _Backbone(BaseModel):
    """The DiT backbone all families share (Peebles and Xie, arXiv 2212.09748)."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    input_size: int = Field(gt=0, description="side of the square input, in pixels or latents")
    patch_size: int = Field(gt=0)
    in_channels: int = Field(gt=0)
    hidden_size: int = Field(gt=0)
    depth: int = Field(gt=0)
    num_heads: int = Field(gt=0)
    num_classes: int = Field(gt=0)
    time_scale: float = Field(default=1.0, gt=0, description="t is multiplied by this before the sinusoidal embedding")

    @model_validator(mode="after")
    def _divisible(self) -> _Backbone:
        if self.input_size % self.patch_size:
            raise ValueError(f"input_size {self.input_size} is not a multiple of patch_size {self.patch_size}")
        if self.hidden_size % self.num_heads:
            raise ValueError(f"hidden_size {self.hidden_size} is not a multiple of num_heads {self.num_heads}")
        return self

    @property
    def grid_tokens(self) -> int:
        """Number of tokens of the full grid."""
        return (self.input_size // self.patch_size) ** 2

    @property
    def blocks(self) -> int:
        """Blocks that can be perturbed, in running order; skipping one by number means these."""
        return self.depth

    @property
    def null_label(self) -> int:
        """The class index that stands for "no condition"."""
        return self.num_classes

    @property
    def sample_shape(self) -> tuple[int, int, int]:
        """(channels, height, width) of one sample."""
        return (self.in_channels, self.input_size, self.input_size)


class DiTArchitecture(_Backbone):
    """DiT, dense or with TREAD routes (Krause et al., arXiv 2501.04765)."""

    family: Literal["dit"] = "dit"
    out_channels: int = Field(gt=0)
    routes: Routes = Field(default=(), description="(first, last) block of each route, both included, in order")
    trained_gamma: float = Field(default=0.0, ge=0, lt=1, description="share of tokens routed in training")

    @model_validator(mode="after")
    def _routes_in_order(self) -> DiTArchitecture:
        check_routes(self.routes, self.depth)
        return self


class MaskDiTArchitecture(_Backbone):
    """MaskDiT: an encoder over the kept tokens, a light decoder over all (Zheng et al., arXiv 2306.09305)."""

    family: Literal["maskdit"] = "maskdit"
    decoder_hidden_size: int = Field(gt=0)
    decoder_depth: int = Field(gt=0)
    decoder_num_heads: int = Field(gt=0)
    trained_gamma: float = Field(default=0.0, ge=0, lt=1, description="share of tokens masked in training")

    @property
    def blocks(self) -> int:
        """The encoder's blocks, then the decoder's."""
        return self.depth + self.decoder_depth

    @property
    def out_channels(self) -> int:
        """The decoder predicts as many channels as it is given."""
        return self.in_channels


class SprintArchitecture(_Backbone):
    """SPRINT: a dense encoder, middle blocks over the kept tokens, a dense decoder (Snap Research)."""

    family: Literal["sprint"] = "sprint"
    encoder_depth: int = Field(gt=0)
    middle_depth: int = Field(gt=0)
    decoder_depth: int = Field(gt=0)
    trained_gamma: float = Field(default=0.0, ge=0, lt=1, description="share of tokens dropped in training")

    @model_validator(mode="after")
    def _depths_add_up(self) -> SprintArchitecture:
        parts = self.encoder_depth + self.middle_depth + self.decoder_depth
        if parts != self.depth:
            raise ValueError(f"encoder, middle and decoder have {parts} blocks, depth says {self.depth}")
        if self.hidden_size // self.num_heads % 4:
            raise ValueError("the rotary embedding needs a head width that is a multiple of 4")
        return self

    @property
    def out_channels(self) -> int:
        """Velocity only."""
        return self.in_channels


class MDTv2Architecture(_Backbone):
    """MDTv2: masked encoder with long skips, side block, decoder over all tokens (arXiv 2303.14389)."""

    family: Literal["mdtv2"] = "mdtv2"
    out_channels: int = Field(gt=0)
    decoder_depth: int = Field(gt=0)
    trained_gamma: float = Field(default=0.0, ge=0, lt=1, description="least share of tokens masked in training")

    @model_validator(mode="after")
    def _two_equal_halves(self) -> MDTv2Architecture:
        if self.decoder_depth >= self.depth or (self.depth - self.decoder_depth) % 2:
            raise ValueError(
                f"depth {self.depth} less decoder_depth {self.decoder_depth} must be an even number above 0"
            )
        return self

    @property
    def encoder_half_depth(self) -> int:
        """Blocks before, and as many after, the turn of the long skips."""
        return (self.depth - self.decoder_depth) // 2


class MicroBlock(NamedTuple):
    """Widths of one MicroDiT block."""

    width: int
    attention_width: int
    mlp_width: int
    experts: bool


class MicroDiTArchitecture(BaseModel):
    """MicroDiT: text to image, a patch mixer before the mask, experts in some blocks (arXiv 2407.15811)."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    family: Literal["microdit"] = "microdit"
    input_size: int = Field(gt=0, description="side of the square input, in latents")
    patch_size: int = Field(gt=0)
    in_channels: int = Field(gt=0)
    hidden_size: int = Field(gt=0)
    depth: int = Field(gt=0)
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
    trained_gamma: float = Field(default=0.0, ge=0, lt=1, description="share of patches masked in training")

    @model_validator(mode="after")
    def _one_ratio_per_block(self) -> MicroDiTArchitecture:
        for name in ("qkv_ratios", "ffn_ratios"):
            if len(getattr(self, name)) != self.depth:
                raise ValueError(f"{name} has {len(getattr(self, name))} values for {self.depth} blocks")
        return self

    @property
    def grid_tokens(self) -> int:
        """Number of tokens of the full grid."""
        return (self.input_size // self.patch_size) ** 2

    @property
    def out_channels(self) -> int:
        """As many as it is given."""
        return self.in_channels

    @property
    def sample_shape(self) -> tuple[int, int, int]:
        """(channels, height, width) of one sample."""
        return (self.in_channels, self.input_size, self.input_size)

    @property
    def blocks(self) -> int:
        """The backbone's blocks; the patch mixer's are not counted."""
        return self.depth

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


AnyArchitecture = (
    DiTArchitecture
    | MaskDiTArchitecture
    | SprintArchitecture
    | MDTv2Architecture
    | MicroDiTArchitecture
    | TextDiTArchitecture
    | PRXArchitecture
)
# What the project trains itself.
Architecture = Annotated[DiTArchitecture | MaskDiTArchitecture | TextDiTArchitecture, Field(discriminator="family")]
