"""PRX (Photoroom), a pipeline of diffusers. No torch."""

from __future__ import annotations

from typing import ClassVar, Literal

from pydantic import Field, model_validator

from sgbench.models.architectures.base import (
    TIME_FREQUENCIES,
    Architecture,
    Conditions,
    Macs,
    Routes,
    check_heads,
    check_routes,
    routed,
    total,
)

# The published models were trained on captions of at most this many tokens; diffusers' conversion writes it, too.
CAPTION_TOKENS = 256


class PRXArchitecture(Architecture):
    """PRX: words are keys and values in every block and never change; routes as in TREAD (Photoroom, Apache-2.0)."""

    network: ClassVar[str] = "sgbench.networks.prx:random_prx"
    conditions: ClassVar[Conditions] = "captions"
    attention_perturbs: ClassVar[bool] = False

    family: Literal["prx"] = "prx"
    num_heads: int = Field(gt=0)
    mlp_ratio: float = Field(gt=0)
    caption_channels: int = Field(gt=0)
    caption_tokens: int = Field(default=CAPTION_TOKENS, gt=0, description="length of a caption, padding included")
    axes_dim: tuple[int, ...] = Field(default=(32, 32), description="rotary channels of rows and columns")
    theta: int = Field(default=10_000, gt=0)
    time_factor: float = Field(default=1000.0, gt=0, description="t is multiplied by this inside the network")
    time_max_period: int = Field(default=10_000, gt=0)
    bottleneck_size: int | None = Field(default=None, gt=0, description="inner width of the patch embedding")
    resolution_embeds: bool = False
    routes: Routes = Field(default=(), description="(first, last) block of each route, both included, in order")

    @model_validator(mode="after")
    def _sizes_fit(self) -> PRXArchitecture:
        check_heads(self.hidden_size, self.num_heads)
        if sum(self.axes_dim) != self.hidden_size // self.num_heads or any(axis % 2 for axis in self.axes_dim):
            raise ValueError(
                f"axes_dim {list(self.axes_dim)} are not even or do not add up to the head width "
                f"{self.hidden_size // self.num_heads}"
            )
        check_routes(self.routes, self.depth)
        return self

    @property
    def mlp_width(self) -> int:
        """Inner width of the gated MLP."""
        return int(self.hidden_size * self.mlp_ratio)

    @property
    def out_channels(self) -> int:
        """Velocity only."""
        return self.in_channels

    @property
    def condition_shape(self) -> tuple[int, ...]:
        return (self.caption_tokens, self.caption_channels)

    def block_macs(self, kept: int) -> list[Macs]:
        return routed(self.routes, self.depth, self._block(self.grid_tokens), self._block(kept))

    def call_macs(self, kept: int) -> Macs:
        """Words always do work. Rotary positions, RMS norms of queries and keys, and gates are not counted."""
        grid, width, patch = self.grid_tokens, self.hidden_size, self.patch_values
        inner = self.bottleneck_size
        embedded = grid * patch * width if inner is None else grid * inner * (patch + width)
        # The timestep, and the resolution where the network is told it.
        vectors = (2 if self.resolution_embeds else 1) * (TIME_FREQUENCIES + width) * width
        words = self.caption_tokens * self.caption_channels * width
        return total(
            Macs(embedded + vectors + words, 0, 0),
            *self.block_macs(kept),
            Macs(grid * width * patch + 2 * width**2, 0, grid * width),
        )

    def _block(self, tokens: int) -> Macs:
        """Projections of n tokens 4 n d^2 and of L words 2 L d^2, gated MLP 3 n d m, modulation 6 d^2.

        Image tokens attend to words and to each other: two products of n (L + n) d.
        """
        width, words = self.hidden_size, self.caption_tokens
        linear = (4 * tokens + 2 * words + 6) * width**2 + 3 * tokens * width * self.mlp_width
        return Macs(linear, 2 * tokens * (words + tokens) * width, 2 * tokens * width)
