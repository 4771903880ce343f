"""MaskDiT (arXiv 2306.09305). No torch."""

from __future__ import annotations

from typing import ClassVar, Literal

from pydantic import Field

from sgbench.models.architectures.base import ClassArchitecture, Macs, block, embedding, final, total


class MaskDiTArchitecture(ClassArchitecture):
    """MaskDiT: an encoder over the kept tokens, a light decoder over all (Zheng et al., arXiv 2306.09305)."""

    network: ClassVar[str] = "sgbench.networks.maskdit:MaskDiT"

    family: Literal["maskdit"] = "maskdit"
    decoder_hidden_size: int = Field(gt=0)
    decoder_depth: int = Field(gt=0)
    decoder_num_heads: int = Field(gt=0)

    @property
    def blocks(self) -> int:
        """The encoder's blocks, then the decoder's."""
        return self.depth + self.decoder_depth

    @property
    def out_channels(self) -> int:
        """The decoder predicts as many channels as it is given."""
        return self.in_channels

    def block_macs(self, kept: int) -> list[Macs]:
        width = self.hidden_size
        light = block(self.grid_tokens, self.decoder_hidden_size, width)
        return [block(kept, width, width)] * self.depth + [light] * self.decoder_depth

    def call_macs(self, kept: int) -> Macs:
        grid, width, light = self.grid_tokens, self.hidden_size, self.decoder_hidden_size
        return total(
            embedding(grid, self.patch_values, width),
            # The one-hot label is multiplied in.
            Macs(self.num_classes * width, 0, 0),
            *self.block_macs(kept),
            final(kept, width, light, width),
            final(grid, light, self.patch_values, width),
        )

    def attention_width(self, layer: int) -> int:
        return self.hidden_size if layer < self.depth else self.decoder_hidden_size
