"""Architectures as data: every size a cost can depend on, readable without torch.

`plan` counts multiply-accumulates from these records alone; `build.py` turns them into networks.
"""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, model_validator


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
    routes: tuple[tuple[int, int], ...] = Field(
        default=(), description="(first, last) block of each route, both included, in order"
    )
    trained_gamma: float = Field(default=0.0, ge=0, lt=1, description="share of tokens routed in training")

    @model_validator(mode="after")
    def _routes_in_order(self) -> DiTArchitecture:
        free = 0
        for first, last in self.routes:
            if not free <= first <= last < self.depth:
                raise ValueError(f"route [{first}, {last}] overlaps another or leaves blocks 0..{self.depth - 1}")
            free = last + 1
        return self


class MaskDiTArchitecture(_Backbone):
    """MaskDiT: an encoder over the kept tokens, a light decoder over all (Zheng et al., arXiv 2306.09305)."""

    family: Literal["maskdit"] = "maskdit"
    decoder_hidden_size: int = Field(gt=0)
    decoder_depth: int = Field(gt=0)
    decoder_num_heads: int = Field(gt=0)
    trained_gamma: float = Field(default=0.0, ge=0, lt=1, description="share of tokens masked in training")

    @property
    def out_channels(self) -> int:
        """The decoder predicts as many channels as it is given."""
        return self.in_channels


Architecture = Annotated[DiTArchitecture | MaskDiTArchitecture, Field(discriminator="family")]
