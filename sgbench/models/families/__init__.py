"""The model families: a file for each network, found by its FAMILIES; no table lists them. No torch."""

from collections.abc import Mapping
from typing import Any

from sgbench.base.choices import unknown
from sgbench.base.discover import found
from sgbench.models.family import Family

_FOUND: list[Family] = [family for families in found(__name__, "FAMILIES") for family in families]
FAMILIES = {family.name: family for family in sorted(_FOUND, key=lambda family: (family.rank, family.name))}


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
