"""From an architecture record to a network."""

from __future__ import annotations

from importlib import import_module

from sgbench.models.architectures import Architecture
from sgbench.networks.dit import DiT
from sgbench.networks.maskdit import MaskDiT
from sgbench.networks.mdtv2 import MDTv2
from sgbench.networks.microdit import MicroDiT
from sgbench.networks.prx import PRX
from sgbench.networks.sprint import Sprint
from sgbench.networks.textdit import TextDiT

Network = DiT | MaskDiT | MDTv2 | MicroDiT | PRX | Sprint | TextDiT


def build(architecture: Architecture) -> Network:
    """A freshly initialised network of the record's kind."""
    module, _, name = architecture.network.partition(":")
    network: Network = getattr(import_module(module), name)(architecture)
    return network
