"""The networks that a cell calls: loaded, on their device, compiled where the suite says so."""

from __future__ import annotations

from typing import NamedTuple

import torch

from sgbench.errors import UserError
from sgbench.guidance import Branch
from sgbench.models import catalogue
from sgbench.models.autoencoder import Decoder, load_decoder
from sgbench.models.build import Network
from sgbench.models.loading import load_network
from sgbench.sampling.allocator import keep_freed_memory
from sgbench.sampling.conditions import Conditions, caption_conditions, class_conditions
from sgbench.suite.cell import Cell

MOST_PROGRAMS = 100_000


class Networks(NamedTuple):
    """The checkpoints that a cell calls, on their device, in evaluation mode."""

    main: Network
    auxiliary: Network | None
    conditions: Conditions
    decoder: Decoder | None = None

    def of(self, branch: Branch) -> Network:
        """The network that serves `branch`."""
        if branch.checkpoint == "main":
            return self.main
        assert self.auxiliary is not None
        return self.auxiliary


def load_networks(cell: Cell, auxiliary: bool, device: torch.device) -> Networks:
    """Verified weights in fresh networks. Raises UserError when a weight file is missing or corrupt."""
    if device.type == "cpu":
        keep_freed_memory()
    entry = catalogue.entry(cell.model)
    networks = Networks(
        load_network(entry, "main", device),
        load_network(entry, "auxiliary", device) if auxiliary else None,
        load_conditions(cell).to(device),
        load_decoder(cell.autoencoder, device) if cell.autoencoder else None,
    )
    for network in (networks.main, networks.auxiliary):
        if network is not None:
            compile_network(network, cell.compile, device)
    return networks


def load_conditions(cell: Cell) -> Conditions:
    """What the cell's network is conditioned on. Raises UserError for prompts that it cannot read."""
    entry = catalogue.entry(cell.model)
    return caption_conditions(cell) if entry.family.text else class_conditions(entry.classes)


def compile_network(network: Network, how: str, device: torch.device) -> None:
    """Have torch compile the network in place; shapes are static, so there is one program per number of tokens.

    A sweep may have hundreds; torch would go back to eager calls after a few, and images would depend on the order.
    """
    if how != "none":
        torch._dynamo.config.recompile_limit = torch._dynamo.config.accumulated_recompile_limit = MOST_PROGRAMS
        torch._dynamo.config.fail_on_recompile_limit_hit = True
    if how == "default":
        network.compile(dynamic=False)
    elif how == "cuda-graphs":
        if device.type != "cuda":
            raise UserError(
                f"CUDA graphs need a CUDA device, and this is {device}",
                where="compile",
                fix="write `compile: default` or `compile: none`, or run with --device cuda",
            )
        network.compile(dynamic=False, mode="reduce-overhead")
