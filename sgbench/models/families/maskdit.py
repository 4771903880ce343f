"""MaskDiT (Zheng et al.): an encoder over the kept tokens, a light decoder over all, EDM preconditioning."""

from collections.abc import Mapping
from typing import Any

from sgbench.models.architectures import MaskDiTArchitecture
from sgbench.models.families.family import Family, Request, backbone, sized_backbone

DECODER = {"decoder_hidden_size": 512, "decoder_depth": 8, "decoder_num_heads": 16}


def _from_config(config: Mapping[str, Any]) -> MaskDiTArchitecture:
    decoder = {key: config.get(key, published) for key, published in DECODER.items()}
    return MaskDiTArchitecture(**backbone(config), **decoder, depth=config["depth"], trained_gamma=0.5)


def _sized(request: Request) -> MaskDiTArchitecture:
    return MaskDiTArchitecture(**sized_backbone(request), **DECODER, depth=request.size.depth, trained_gamma=0.5)


FAMILY = Family(
    name="maskdit",
    title="MaskDiT",
    source="arXiv 2306.09305",
    works=("zheng2024maskdit",),
    telltales=("use_decoder", "decoder_depth"),
    prediction="edm",
    drops="dropped tokens leave before the encoder; a learned token stands in for them in the decoder",
    samplers=("edm-heun",),
    from_config=_from_config,
    sized=_sized,
)
