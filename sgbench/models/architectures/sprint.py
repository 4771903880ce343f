"""SPRINT (Snap Research). No torch."""

from __future__ import annotations

from typing import ClassVar, Literal

from pydantic import Field, model_validator

from sgbench.models.architectures.base import ClassArchitecture, Macs, block, embedding, final, total


class SprintArchitecture(ClassArchitecture):
    """SPRINT: a dense encoder, middle blocks over the kept tokens, a dense decoder (Snap Research)."""

    network: ClassVar[str] = "sgbench.networks.sprint:Sprint"
    drops_path: ClassVar[bool] = True

    family: Literal["sprint"] = "sprint"
    encoder_depth: int = Field(gt=0)
    middle_depth: int = Field(gt=0)
    decoder_depth: int = Field(gt=0)

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

    def block_macs(self, kept: int) -> list[Macs]:
        width = self.hidden_size
        dense = block(self.grid_tokens, width, width)
        middle = [block(kept, width, width) if kept else Macs(0, 0, 0)] * self.middle_depth
        return [dense] * self.encoder_depth + middle + [dense] * self.decoder_depth

    def call_macs(self, kept: int) -> Macs:
        """The rotary embedding and the norms of query and key are elementwise and not counted, as fvcore does not."""
        grid, width = self.grid_tokens, self.hidden_size
        return total(
            embedding(grid, self.patch_values, width),
            *self.block_macs(kept),
            Macs(2 * grid * width**2, 0, 0),
            final(grid, width, self.patch_values, width),
        )
