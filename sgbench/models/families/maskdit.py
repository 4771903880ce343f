"""MaskDiT (Zheng et al.): an encoder over the kept tokens, a light decoder over all, EDM preconditioning. No torch."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar, Literal

from pydantic import Field, model_validator

from sgbench.models.architecture import (
    ClassArchitecture,
    Macs,
    SameChannels,
    block,
    check_positions,
    embedding,
    final,
    total,
)
from sgbench.models.family import Family, Shapes, backbone, published, whole
from sgbench.samplers.catalogue import EDM_SAMPLERS

DECODER = {"decoder_hidden_size": 512, "decoder_depth": 8, "decoder_num_heads": 16}


class MaskDiTArchitecture(SameChannels, ClassArchitecture):
    """MaskDiT: an encoder over the kept tokens, a light decoder over all (arXiv 2306.09305)."""

    network: ClassVar[str] = "sgbench.networks.maskdit:MaskDiT"
    telltale_parts: ClassVar[frozenset[str]] = frozenset({"blocks", "decoder_blocks"})

    family: Literal["maskdit"] = "maskdit"
    decoder_hidden_size: int = Field(gt=0)
    decoder_depth: int = Field(gt=0)
    decoder_num_heads: int = Field(gt=0)

    @model_validator(mode="after")
    def _whole_decoder_heads(self) -> MaskDiTArchitecture:
        width, heads = self.decoder_hidden_size, self.decoder_num_heads
        if width % heads:
            raise ValueError(f"decoder_hidden_size {width} is not a multiple of decoder_num_heads {heads}")
        check_positions("decoder_hidden_size", width)
        return self

    @property
    def blocks(self) -> int:
        """The encoder's blocks, then the decoder's."""
        return self.depth + self.decoder_depth

    @property
    def label_table(self) -> tuple[int, int]:
        return (self.hidden_size, self.num_classes)

    @classmethod
    def classes_in(cls, table: Sequence[int]) -> int:
        """Number of classes, from the shape (width, classes) of the linear map of one-hot labels."""
        return table[1]

    def block_macs(self, kept: int) -> list[Macs]:
        width = self.hidden_size
        light = block(self.grid_tokens, self.decoder_hidden_size, width)
        return [block(kept, width, width)] * self.depth + [light] * self.decoder_depth

    def call_macs(self, kept: int) -> Macs:
        grid, width, light = self.grid_tokens, self.hidden_size, self.decoder_hidden_size
        return total(
            embedding(grid, self.patch_values, width),
            # The linear map of the one-hot label.
            Macs(self.num_classes * width, 0, 0),
            *self.block_macs(kept),
            final(kept, width, light, width),
            final(grid, light, self.patch_values, width),
        )

    def attention_width(self, layer: int) -> int:
        return self.hidden_size if layer < self.depth else self.decoder_hidden_size


def _from_config(config: Mapping[str, Any]) -> MaskDiTArchitecture:
    decoder = {key: whole(config, key, published) for key, published in DECODER.items()}
    return MaskDiTArchitecture(**backbone(config), **decoder, depth=whole(config, "depth"), trained_gamma=0.5)


def _linear_labels(shapes: Shapes) -> bool:
    """Whether labels pass a linear map (width, classes); an embedding has the width last."""
    patches, table = (shapes.get(name, ()) for name in ("x_embedder.proj.weight", "y_embedder.embedding_table.weight"))
    return len(patches) > 0 and tuple(table[:1]) == tuple(patches[:1])


FAMILIES = (
    Family(
        name="maskdit",
        title="MaskDiT",
        source="arXiv 2306.09305",
        works=("zheng2024maskdit",),
        rank=40,
        architecture=MaskDiTArchitecture,
        telltales=("use_decoder", "decoder_depth"),
        fixed={"use_decoder": True, "pad_cls_token": False, "sigma_data": 0.5},
        unused=("mae_loss_coef",),
        fits=_linear_labels,
        prediction="edm",
        drops="dropped tokens leave before the encoder; a learned token stands in for them in the decoder",
        samplers=EDM_SAMPLERS,
        from_config=_from_config,
        sized=lambda request: _from_config(published(request)),
    ),
)
