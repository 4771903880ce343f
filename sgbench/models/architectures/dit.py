"""DiT (arXiv 2212.09748), dense or with TREAD's routes. No torch."""

from __future__ import annotations

from typing import ClassVar, Literal

from pydantic import Field, model_validator

from sgbench.models.architectures.base import (
    ClassArchitecture,
    Macs,
    Routes,
    block,
    check_routes,
    embedding,
    final,
    routed,
    total,
)


class DiTArchitecture(ClassArchitecture):
    """DiT, dense or with TREAD routes (Krause et al., arXiv 2501.04765)."""

    network: ClassVar[str] = "sgbench.networks.dit:DiT"

    family: Literal["dit"] = "dit"
    out_channels: int = Field(gt=0)
    routes: Routes = Field(default=(), description="(first, last) block of each route, both included, in order")

    @model_validator(mode="after")
    def _routes_in_order(self) -> DiTArchitecture:
        check_routes(self.routes, self.depth)
        return self

    @property
    def predicts_variance(self) -> bool:
        return self.out_channels >= 2 * self.in_channels

    def block_macs(self, kept: int) -> list[Macs]:
        grid, width = self.grid_tokens, self.hidden_size
        return routed(self.routes, self.depth, block(grid, width, width), block(kept, width, width))

    def call_macs(self, kept: int) -> Macs:
        grid, width = self.grid_tokens, self.hidden_size
        return total(
            embedding(grid, self.patch_values, width),
            *self.block_macs(kept),
            final(grid, width, self.patch_size**2 * self.out_channels, width),
        )
