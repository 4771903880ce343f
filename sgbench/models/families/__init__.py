"""The model families, one file each. Nothing here imports torch."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from sgbench.errors import UserError
from sgbench.models.families import dit, maskdit, mdtv2, microdit, prx, repa_sit, sit, sprint, tread_dit, tread_sit
from sgbench.models.families.family import Family
from sgbench.suite.suggest import suggestion

FAMILIES: dict[str, Family] = {
    module.FAMILY.name: module.FAMILY
    for module in (tread_dit, tread_sit, sprint, maskdit, mdtv2, microdit, prx, dit, sit, repa_sit)
}
# Constructor arguments that only one family has.
TELLTALES = {
    "middle_depth": "sprint",
    "caption_channels": "microdit",
    "context_in_dim": "prx",
    "decode_layer": "mdtv2",
    "use_decoder": "maskdit",
    "decoder_depth": "maskdit",
    "z_dims": "repa-sit",
    "routes": "tread-sit",
    "enable_routing": "tread-sit",
}


def family(name: str, where: str = "family") -> Family:
    """The family called `name`. Raises UserError when there is none."""
    if name not in FAMILIES:
        raise UserError(
            f"there is no model family {name!r}{suggestion(name, list(FAMILIES))}",
            where=where,
            fix=f"choose one of: {', '.join(FAMILIES)}",
        )
    return FAMILIES[name]


def recognise(config: Mapping[str, Any], learned_sigma: bool) -> Family:
    """The family whose published constructor takes these arguments; `learned_sigma` tells DiT's output from SiT's."""
    for key, name in TELLTALES.items():
        if key in config:
            return FAMILIES[name]
    return FAMILIES["dit" if learned_sigma else "sit"]


__all__ = ["FAMILIES", "Family", "family", "recognise"]
