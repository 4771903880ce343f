"""MDTv2 (Gao et al.): masked encoder with long skips, a side block that fills in, a decoder over all. No torch."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar, Literal

from pydantic import Field, model_validator

from sgbench.models.architecture import Macs, VarianceArchitecture, block
from sgbench.models.family import Family, backbone, flag, published, whole
from sgbench.samplers.catalogue import DISCRETE_SAMPLERS


class MDTv2Architecture(VarianceArchitecture):
    """MDTv2: masked encoder with long skips, side block, decoder over all tokens (arXiv 2303.14389)."""

    network: ClassVar[str] = "sgbench.networks.mdtv2:MDTv2"
    telltale_parts: ClassVar[frozenset[str]] = frozenset({"en_inblocks", "en_outblocks"})
    depth_stacks: ClassVar[tuple[str, ...]] = ("en_inblocks", "en_outblocks", "de_blocks")

    family: Literal["mdtv2"] = "mdtv2"
    decoder_depth: int = Field(gt=0)

    @model_validator(mode="after")
    def _two_equal_halves(self) -> MDTv2Architecture:
        if self.decoder_depth >= self.depth or (self.depth - self.decoder_depth) % 2:
            depths = f"depth {self.depth} less decoder_depth {self.decoder_depth}"
            raise ValueError(f"{depths} must be an even number above 0")
        return self

    @property
    def encoder_half_depth(self) -> int:
        """Blocks in the first half of the encoder, and as many in the second, which the long skips lead to."""
        return (self.depth - self.decoder_depth) // 2

    def block_macs(self, kept: int) -> list[Macs]:
        grid, width, half = self.grid_tokens, self.hidden_size, self.encoder_half_depth
        sparse, dense = block(kept, width, width), block(grid, width, width)
        # A long skip is mixed in by a linear map of twice the width.
        skipped = sparse.plus(Macs(2 * kept * width**2, 0, 0))
        decoded = dense.plus(Macs(2 * grid * width**2, 0, 0))
        return [sparse] * half + [skipped] * half + [decoded] * self.decoder_depth

    def other_macs(self, kept: int) -> Macs:
        """The side block, which runs where tokens were masked."""
        grid, width = self.grid_tokens, self.hidden_size
        return block(grid, width, width).times(1 if kept < grid else 0)


def _from_config(config: Mapping[str, Any]) -> MDTv2Architecture:
    sizes = backbone(config)
    return MDTv2Architecture(
        **sizes,
        depth=whole(config, "depth"),
        out_channels=sizes["in_channels"] * (2 if flag(config, "learn_sigma", True) else 1),
        decoder_depth=whole(config, "decode_layer", 4),
        trained_gamma=config.get("mask_ratio") or 0.0,
    )


FAMILIES = (
    Family(
        name="mdtv2",
        title="MDTv2",
        source="arXiv 2303.14389",
        works=("gao2023mdt",),
        rank=50,
        architecture=MDTv2Architecture,
        telltales=("decode_layer",),
        prediction="epsilon",
        drops="masked tokens skip the encoder; a side block fills them in before the decoder",
        samplers=DISCRETE_SAMPLERS,
        from_config=_from_config,
        sized=lambda request: _from_config({**published(request), "mask_ratio": 0.3}),
        guided_channels=3,
    ),
)
