"""The model families, one file each. Nothing here imports torch."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from sgbench.base.choices import unknown
from sgbench.models.families import dit, maskdit, mdtv2, microdit, prx, repa_sit, sit, sprint, tread_dit, tread_sit
from sgbench.models.families.family import Family

FAMILIES: dict[str, Family] = {
    module.FAMILY.name: module.FAMILY
    for module in (tread_dit, tread_sit, sprint, maskdit, mdtv2, microdit, prx, dit, sit, repa_sit)
}


def family(name: str, where: str = "family") -> Family:
    """The family called `name`. Raises UserError when there is none."""
    if name not in FAMILIES:
        raise unknown("model family", name, FAMILIES, where)
    return FAMILIES[name]


def recognise(config: Mapping[str, Any], learned_sigma: bool) -> Family:
    """The family whose published constructor takes these arguments; `learned_sigma` tells DiT's output from SiT's."""
    for known in FAMILIES.values():
        if any(key in config for key in known.telltales):
            return known
    return FAMILIES["dit" if learned_sigma else "sit"]


__all__ = ["FAMILIES", "Family", "family", "recognise"]
