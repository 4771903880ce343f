"""Sizes of text-to-image networks as data; see `architecture.py`."""

from __future__ import annotations

from typing import Literal

from pydantic import BaseModel, ConfigDict, Field, model_validator

Routes = tuple[tuple[int, int], ...]


def check_routes(routes: Routes, depth: int) -> None:
    """Raise ValueError unless routes, (first, last) block of each, are in order and inside the network."""
    free = 0
    for first, last in routes:
        if not free <= first <= last < depth:
            raise ValueError(f"route [{first}, {last}] overlaps another or leaves blocks 0..{depth - 1}")
        free = last + 1


class TextDiTArchitecture(BaseModel):
    """A DiT that reads words: a small text encoder, its tokens joined to the image's in every block, never routed."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    family: Literal["textdit"] = "textdit"
    input_size: int = Field(gt=0, description="side of the square input, in pixels")
    patch_size: int = Field(gt=0)
    in_channels: int = Field(gt=0)
    hidden_size: int = Field(gt=0)
    depth: int = Field(gt=0)
    num_heads: int = Field(gt=0)
    words: int = Field(gt=0, description="size of the vocabulary, padding included")
    caption_tokens: int = Field(gt=0, description="words of a caption, padding included")
    text_depth: int = Field(gt=0, description="blocks of the text encoder")
    time_scale: float = Field(default=1.0, gt=0)
    routes: Routes = Field(default=(), description="(first, last) block of each route, both included, in order")
    trained_gamma: float = Field(default=0.0, ge=0, lt=1, description="share of image tokens routed in training")

    @model_validator(mode="after")
    def _sizes_fit(self) -> TextDiTArchitecture:
        if self.input_size % self.patch_size:
            raise ValueError(f"input_size {self.input_size} is not a multiple of patch_size {self.patch_size}")
        if self.hidden_size % self.num_heads:
            raise ValueError(f"hidden_size {self.hidden_size} is not a multiple of num_heads {self.num_heads}")
        check_routes(self.routes, self.depth)
        return self

    @property
    def grid_tokens(self) -> int:
        """Number of image tokens of the full grid."""
        return (self.input_size // self.patch_size) ** 2

    @property
    def blocks(self) -> int:
        """Blocks that can be perturbed; those of the text encoder are not counted."""
        return self.depth

    @property
    def null_label(self) -> int:
        """The word number that fills the null caption: padding."""
        return 0

    @property
    def out_channels(self) -> int:
        """Velocity only."""
        return self.in_channels

    @property
    def sample_shape(self) -> tuple[int, int, int]:
        """(channels, height, width) of one sample."""
        return (self.in_channels, self.input_size, self.input_size)
