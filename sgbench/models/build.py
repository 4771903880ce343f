"""From an architecture record to a network."""

from __future__ import annotations

from sgbench.models.architecture import (
    AnyArchitecture,
    DiTArchitecture,
    MaskDiTArchitecture,
    MDTv2Architecture,
    MicroDiTArchitecture,
)
from sgbench.models.dit import DiT
from sgbench.models.maskdit import MaskDiT
from sgbench.models.mdtv2 import MDTv2
from sgbench.models.microdit import MicroDiT
from sgbench.models.pipeline_architecture import PRXArchitecture
from sgbench.models.prx import PRX, random_prx
from sgbench.models.sprint import Sprint
from sgbench.models.text_architecture import TextDiTArchitecture
from sgbench.models.textdit import TextDiT

Network = DiT | MaskDiT | MDTv2 | MicroDiT | PRX | Sprint | TextDiT


def build(architecture: AnyArchitecture) -> Network:
    """A freshly initialised network of the record's kind."""
    if isinstance(architecture, DiTArchitecture):
        return DiT(architecture)
    if isinstance(architecture, MaskDiTArchitecture):
        return MaskDiT(architecture)
    if isinstance(architecture, MDTv2Architecture):
        return MDTv2(architecture)
    if isinstance(architecture, MicroDiTArchitecture):
        return MicroDiT(architecture)
    if isinstance(architecture, TextDiTArchitecture):
        return TextDiT(architecture)
    if isinstance(architecture, PRXArchitecture):
        return random_prx(architecture)
    return Sprint(architecture)
