"""SPRINT (Snap Research): dense encoder and decoder blocks, dropped tokens or the whole path in the middle."""

from collections.abc import Mapping
from typing import Any

from sgbench.models.architectures import SprintArchitecture
from sgbench.models.families.family import Family, Request, backbone, sized_backbone
from sgbench.samplers.catalogue import FLOW_SAMPLERS

ENDS = 2


def _from_config(config: Mapping[str, Any]) -> SprintArchitecture:
    depths = {key: config[key] for key in ("encoder_depth", "middle_depth", "decoder_depth")}
    return SprintArchitecture(**backbone(config), **depths, depth=sum(depths.values()), trained_gamma=0.75)


def _sized(request: Request) -> SprintArchitecture:
    depth = request.size.depth
    return SprintArchitecture(
        **sized_backbone(request),
        depth=depth,
        encoder_depth=ENDS,
        middle_depth=depth - 2 * ENDS,
        decoder_depth=ENDS,
        trained_gamma=0.75,
    )


FAMILY = Family(
    name="sprint",
    title="SPRINT",
    source="Snap Research, SPRINT",
    works=("park2025sprint", "ma2024sit"),
    telltales=("middle_depth",),
    prediction="velocity",
    drops="dropped tokens skip the middle blocks and come back as a learned token; all of them in path drop",
    samplers=FLOW_SAMPLERS,
    float64_state=True,
    from_config=_from_config,
    sized=_sized,
    note="the public checkpoints were fine-tuned with all tokens",
)
