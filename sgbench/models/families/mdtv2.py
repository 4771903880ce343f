"""MDTv2 (Gao et al.): masked encoder with long skips, a side block that fills in, a decoder over all tokens."""

from collections.abc import Mapping
from typing import Any

from sgbench.models.architectures import MDTv2Architecture
from sgbench.models.families.family import LATENT_CHANNELS, Family, Request, backbone, sized_backbone
from sgbench.samplers.catalogue import DISCRETE_SAMPLERS

DECODER_DEPTH = 4


def _from_config(config: Mapping[str, Any]) -> MDTv2Architecture:
    sizes = backbone(config)
    return MDTv2Architecture(
        **sizes,
        depth=config["depth"],
        out_channels=sizes["in_channels"] * (2 if config.get("learn_sigma", True) else 1),
        decoder_depth=config.get("decode_layer", DECODER_DEPTH),
        trained_gamma=config.get("mask_ratio") or 0.0,
    )


def _sized(request: Request) -> MDTv2Architecture:
    return MDTv2Architecture(
        **sized_backbone(request),
        depth=request.size.depth,
        out_channels=2 * LATENT_CHANNELS,
        decoder_depth=DECODER_DEPTH,
        trained_gamma=0.3,
    )


FAMILY = Family(
    name="mdtv2",
    title="MDTv2",
    source="arXiv 2303.14389",
    works=("gao2023mdt",),
    telltales=("decode_layer",),
    prediction="epsilon",
    drops="masked tokens skip the encoder; a side block fills them in before the decoder",
    samplers=DISCRETE_SAMPLERS,
    from_config=_from_config,
    sized=_sized,
    guided_channels=3,
)
