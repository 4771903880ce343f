"""SPRINT (Snap Research): dense encoder and decoder; the middle drops tokens, or is skipped altogether. No torch."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar, Literal

from pydantic import Field, model_validator

from sgbench.models.architecture import ClassArchitecture, Macs, SameChannels, block
from sgbench.models.family import Family, Request, backbone, published, whole
from sgbench.samplers.catalogue import FLOW_SAMPLERS

# Blocks of the published encoder, and of the decoder.
ENDS = 2


class SprintArchitecture(SameChannels, ClassArchitecture):
    """SPRINT: a dense encoder, middle blocks over the kept tokens, a dense decoder (Snap Research)."""

    network: ClassVar[str] = "sgbench.networks.sprint:Sprint"
    drops_path: ClassVar[bool] = True
    telltale_parts: ClassVar[frozenset[str]] = frozenset({"encoder_blocks", "middle_blocks"})
    depth_stacks: ClassVar[tuple[str, ...]] = ("encoder_blocks", "middle_blocks", "decoder_blocks")

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

    def block_macs(self, kept: int) -> list[Macs]:
        width = self.hidden_size
        dense = block(self.grid_tokens, width, width)
        middle = [block(kept, width, width) if kept else Macs(0, 0, 0)] * self.middle_depth
        return [dense] * self.encoder_depth + middle + [dense] * self.decoder_depth

    def other_macs(self, kept: int) -> Macs:
        """The linear map that fuses dense features back in. Rotary embedding and norms of queries and keys are not
        counted: they are elementwise, and fvcore counts neither."""
        return Macs(2 * self.grid_tokens * self.hidden_size**2, 0, 0)


def _from_config(config: Mapping[str, Any]) -> SprintArchitecture:
    depths = {key: whole(config, key) for key in ("encoder_depth", "middle_depth", "decoder_depth")}
    return SprintArchitecture(**backbone(config), **depths, depth=sum(depths.values()), trained_gamma=0.75)


def _sized(request: Request) -> SprintArchitecture:
    if request.size.depth <= 2 * ENDS:
        raise ValueError(f"depth {request.size.depth} leaves no middle between {ENDS} blocks at either end")
    depths = {"encoder_depth": ENDS, "middle_depth": request.size.depth - 2 * ENDS, "decoder_depth": ENDS}
    return _from_config(published(request) | depths)


FAMILIES = (
    Family(
        name="sprint",
        title="SPRINT",
        source="Snap Research, SPRINT",
        works=("park2025sprint", "ma2024sit"),
        rank=30,
        architecture=SprintArchitecture,
        telltales=("middle_depth",),
        fixed={
            **{"q_norm": "RMSNorm", "k_norm": "RMSNorm", "use_swiglu": False},
            **{"use_mask_restore": True, "residual_type": "concat_linear"},
        },
        # SwiGLU of any size is used with use_swiglu alone.
        unused=("use_swiglu_large", "representation_align", "cfg_mask_prob"),
        prediction="velocity",
        drops="dropped tokens skip the middle blocks and come back as a learned token; all of them in path drop",
        samplers=FLOW_SAMPLERS,
        float64_state=True,
        from_config=_from_config,
        sized=_sized,
        note="the public checkpoints were fine-tuned with all tokens",
    ),
)
