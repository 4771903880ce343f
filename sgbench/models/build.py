"""From an architecture record to a network."""

from __future__ import annotations

from sgbench.models.architecture import DiTArchitecture, MaskDiTArchitecture
from sgbench.models.dit import DiT
from sgbench.models.maskdit import MaskDiT


def build(architecture: DiTArchitecture | MaskDiTArchitecture) -> DiT | MaskDiT:
    """A freshly initialised network of the record's family."""
    if isinstance(architecture, MaskDiTArchitecture):
        return MaskDiT(architecture)
    return DiT(architecture)
