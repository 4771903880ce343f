"""From an architecture record to a network."""

from __future__ import annotations

from importlib import import_module

from torch import nn

from sgbench.models.architecture import Architecture


class Network(nn.Module):
    """The type of what `build` returns: a module with the forward pass of `networks/denoiser.py`."""

    architecture: Architecture


def build(architecture: Architecture) -> Network:
    """A freshly initialised network of the record's kind."""
    module, _, name = architecture.network.partition(":")
    network: Network = getattr(import_module(module), name)(architecture)
    return network
