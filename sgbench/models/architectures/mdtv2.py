"""MDTv2 (arXiv 2303.14389). No torch."""

from __future__ import annotations

from typing import ClassVar, Literal

from pydantic import Field, model_validator

from sgbench.models.architectures.base import ClassArchitecture, Macs, block, embedding, final, total


class MDTv2Architecture(ClassArchitecture):
    """MDTv2: masked encoder with long skips, side block, decoder over all tokens (arXiv 2303.14389)."""

    network: ClassVar[str] = "sgbench.networks.mdtv2:MDTv2"

    family: Literal["mdtv2"] = "mdtv2"
    out_channels: int = Field(gt=0)
    decoder_depth: int = Field(gt=0)

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

    @property
    def predicts_variance(self) -> bool:
        return self.out_channels >= 2 * self.in_channels

    def block_macs(self, kept: int) -> list[Macs]:
        grid, width, half = self.grid_tokens, self.hidden_size, self.encoder_half_depth
        sparse, dense = block(kept, width, width), block(grid, width, width)
        skipped, decoded = sparse.plus(_mixing(kept, width)), dense.plus(_mixing(grid, width))
        return [sparse] * half + [skipped] * half + [decoded] * self.decoder_depth

    def call_macs(self, kept: int) -> Macs:
        grid, width = self.grid_tokens, self.hidden_size
        return total(
            embedding(grid, self.patch_values, width),
            *self.block_macs(kept),
            block(grid, width, width).times(1 if kept < grid else 0),
            final(grid, width, self.patch_size**2 * self.out_channels, width),
        )


def _mixing(tokens: int, width: int) -> Macs:
    """A long skip, mixed in by a linear map of twice the width."""
    return Macs(2 * tokens * width**2, 0, 0)
