"""The project's own text-to-image network: a DiT that reads words. No torch."""

from __future__ import annotations

import math
from typing import ClassVar, Literal

from pydantic import Field, model_validator

from sgbench.models.architectures.base import (
    Architecture,
    Conditions,
    Macs,
    Routes,
    block,
    check_heads,
    check_routes,
    embedding,
    final,
    routed,
    total,
)


class TextDiTArchitecture(Architecture):
    """A DiT that reads words: a small text encoder, its tokens joined to the image's in every block, never routed."""

    network: ClassVar[str] = "sgbench.networks.textdit:TextDiT"
    conditions: ClassVar[Conditions] = "words"

    family: Literal["textdit"] = "textdit"
    num_heads: int = Field(gt=0)
    words: int = Field(gt=0, description="size of the vocabulary, padding included")
    caption_tokens: int = Field(gt=0, description="words of a caption, padding included")
    text_depth: int = Field(gt=0, description="blocks of the text encoder")
    time_scale: float = Field(default=1.0, gt=0)
    routes: Routes = Field(default=(), description="(first, last) block of each route, both included, in order")

    @model_validator(mode="after")
    def _sizes_fit(self) -> TextDiTArchitecture:
        check_heads(self.hidden_size, self.num_heads)
        check_routes(self.routes, self.depth)
        return self

    @property
    def null_label(self) -> int:
        """The word number that fills the null caption: padding."""
        return 0

    @property
    def out_channels(self) -> int:
        """Velocity only."""
        return self.in_channels

    @property
    def condition_shape(self) -> tuple[int, ...]:
        return (self.caption_tokens,)

    def block_macs(self, kept: int) -> list[Macs]:
        # Words are tokens that are always there.
        grid, words, width = self.grid_tokens, self.caption_tokens, self.hidden_size
        dense, sparse = block(grid + words, width, width), block(kept + words, width, width)
        return routed(self.routes, self.depth, dense, sparse)

    def call_macs(self, kept: int) -> Macs:
        grid, words, width = self.grid_tokens, self.caption_tokens, self.hidden_size
        reading = Macs(12 * words * width**2, 2 * words**2 * width, 2 * words * width).times(self.text_depth)
        return total(
            embedding(grid, self.patch_values, width),
            reading,
            Macs(width**2, 0, words * width),
            *self.block_macs(kept),
            final(grid, width, self.patch_values, width),
        )

    def image_attention(self, layer: int, kept: int) -> int:
        """Words go on attending where image tokens do not."""
        products = super().image_attention(layer, kept)
        seen = math.isqrt(products // (2 * self.hidden_size))
        return products - 2 * self.caption_tokens * seen * self.hidden_size
