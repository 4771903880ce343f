"""The networks that a cell calls, and their conditions: loaded, on their device, compiled where the suite says so."""

import ctypes
import platform
from typing import NamedTuple, assert_never

import torch

from sgbench.base.errors import UserError
from sgbench.cells.cell import Cell, Compiled
from sgbench.guidance import Branch
from sgbench.models import catalogue
from sgbench.models.catalogue import ModelInfo
from sgbench.models.components import NONE, OWN, require_text_encoder
from sgbench.models.families.prx import PRXArchitecture
from sgbench.networks.autoencoder import Decoder, load_decoder
from sgbench.networks.denoiser import Denoiser
from sgbench.networks.loading import load_network, present
from sgbench.networks.text_encoder import load_text_encoder
from sgbench.sampling.conditions import CaptionConditions, ClassConditions, Conditions, NoCaptions, WordConditions

MOST_PROGRAMS = 100_000
# (option, value) of mallopt, in glibc's malloc.h: no mappings, never trim, 64 MiB at a time.
ALLOCATOR = ((-4, 0), (-1, -1), (-2, 64 * 2**20))


class Networks(NamedTuple):
    """The checkpoints that a cell calls, on their device, in evaluation mode."""

    main: Denoiser
    auxiliary: Denoiser | None
    conditions: Conditions
    decoder: Decoder | None = None

    def of(self, branch: Branch) -> Denoiser:
        """The network that serves `branch`."""
        match branch.checkpoint:
            case "main":
                return self.main
            case "auxiliary":
                assert self.auxiliary is not None
                return self.auxiliary
            case _:
                assert_never(branch.checkpoint)


def load_networks(cell: Cell, auxiliary: bool, device: torch.device) -> Networks:
    """Verified weights in fresh networks. Raises UserError when a weight file is missing or corrupt."""
    if device.type == "cpu":
        keep_freed_memory()
    entry = catalogue.entry(cell.model)
    if entry.main.kind == "folder":
        networks = _load_pipeline(cell, entry, device)
    else:
        networks = Networks(
            load_network(entry, "main", device),
            load_network(entry, "auxiliary", device) if auxiliary else None,
            load_conditions(cell, entry, device),
            load_decoder(cell.autoencoder, device) if cell.autoencoder else None,
        )
    for network in (networks.main, networks.auxiliary):
        if network is not None:
            compile_network(network, cell.compile, device)
    return networks


def _load_pipeline(cell: Cell, entry: ModelInfo, device: torch.device) -> Networks:
    """All parts of a pipeline's folder; another decoder where the cell names one."""
    from sgbench.networks.pipelines import load_pipeline

    folder = present(entry, entry.main)
    assert folder is not None
    assert isinstance(entry.architecture, PRXArchitecture)
    found = load_pipeline(folder, entry.architecture.routes, device, entry.resolution)
    decoder = found.decoder if cell.autoencoder == OWN else load_decoder(cell.autoencoder, device)
    return Networks(found.network, None, CaptionConditions(cell, found.captions, device), decoder)


def load_conditions(cell: Cell, entry: ModelInfo, device: torch.device) -> Conditions:
    """What the cell's network is conditioned on. Raises UserError where prompts or the text encoder are missing."""
    match entry.architecture.conditions:
        case "classes":
            return ClassConditions(entry.architecture.null_label, device)
        case "words":
            return WordConditions(cell, device)
        case "captions":
            if entry.has_no_folder or cell.text_encoder == NONE:
                return NoCaptions(entry.architecture.condition_shape, device)
            return CaptionConditions(cell, load_text_encoder(require_text_encoder(cell.text_encoder), device), device)
        case _:
            assert_never(entry.architecture.conditions)


def keep_freed_memory() -> bool:
    """Let the C library keep the memory that tensors on a CPU free. Returns whether there is a glibc to do so.

    A transformer block makes and drops temporaries of megabytes. By default glibc maps each anew, and the kernel hands
    out zeroed pages one fault at a time: a sixth of the time of a small network on two cores.
    """
    if platform.libc_ver()[0] != "glibc":
        return False
    library = ctypes.CDLL(None)
    return all(bool(library.mallopt(option, value)) for option, value in ALLOCATOR)


def compile_network(network: Denoiser, how: Compiled, device: torch.device) -> None:
    """Have torch compile the network in place; shapes are static, so there is one program per number of tokens.

    A sweep may need hundreds. By default torch returns to eager calls after a few: images would depend on the order.
    """
    if how != "none":
        torch._dynamo.config.recompile_limit = torch._dynamo.config.accumulated_recompile_limit = MOST_PROGRAMS
        torch._dynamo.config.fail_on_recompile_limit_hit = True
    match how:
        case "none":
            pass
        case "default":
            network.wrapped.compile(dynamic=False)
        case "cuda-graphs":
            if device.type != "cuda":
                raise UserError(
                    f"CUDA graphs need a CUDA device, and this is {device}",
                    where="compile",
                    fix="write `compile: default` or `compile: none`, or run with --device cuda",
                )
            network.wrapped.compile(dynamic=False, mode="reduce-overhead")
        case _:
            assert_never(how)
