"""From an architecture record to a network."""

from __future__ import annotations

from typing import assert_never

from sgbench.models.architecture import (
    AnyArchitecture,
    DiTArchitecture,
    MaskDiTArchitecture,
    MDTv2Architecture,
    MicroDiTArchitecture,
    SprintArchitecture,
)
from sgbench.models.pipeline_architecture import PRXArchitecture
from sgbench.models.text_architecture import TextDiTArchitecture
from sgbench.networks.dit import DiT
from sgbench.networks.maskdit import MaskDiT
from sgbench.networks.mdtv2 import MDTv2
from sgbench.networks.microdit import MicroDiT
from sgbench.networks.prx import PRX, random_prx
from sgbench.networks.sprint import Sprint
from sgbench.networks.textdit import TextDiT

Network = DiT | MaskDiT | MDTv2 | MicroDiT | PRX | Sprint | TextDiT


def build(architecture: AnyArchitecture) -> Network:
    """A freshly initialised network of the record's kind."""
    match architecture:
        case DiTArchitecture():
            return DiT(architecture)
        case MaskDiTArchitecture():
            return MaskDiT(architecture)
        case MDTv2Architecture():
            return MDTv2(architecture)
        case MicroDiTArchitecture():
            return MicroDiT(architecture)
        case TextDiTArchitecture():
            return TextDiT(architecture)
        case PRXArchitecture():
            return random_prx(architecture)
        case SprintArchitecture():
            return Sprint(architecture)
        case _:
            assert_never(architecture)
