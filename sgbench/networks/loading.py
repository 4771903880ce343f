"""From a catalogue entry to a network with its weights."""

from collections.abc import Mapping
from pathlib import Path
from typing import Literal

import torch
from torch import Tensor

from sgbench.base.errors import UserError
from sgbench.files.digest import require_recorded, sha256_of
from sgbench.files.headers import LAST_LAYER, UNUSED
from sgbench.models.catalogue import Checkpoint, ModelInfo
from sgbench.models.family import Family
from sgbench.networks.checkpoints import load_strict, read_state
from sgbench.networks.denoiser import Denoiser, build
from sgbench.zoo.weights import load_weights

RANDOM_SEED = 0


def load_network(entry: ModelInfo, which: Literal["main", "auxiliary"], device: torch.device) -> Denoiser:
    """The network with verified weights, in evaluation mode. Raises UserError when they are missing or do not fit."""
    checkpoint = entry.main if which == "main" else entry.auxiliary
    if checkpoint is None:
        raise UserError(f"{entry.name} has no auxiliary checkpoint", where="model", fix="choose another rule")
    path = present(entry, checkpoint)
    assert checkpoint.kind != "folder", "pipelines are loaded as a whole"
    torch.manual_seed(RANDOM_SEED)
    network = build(entry.architecture)
    if checkpoint.kind == "packaged":
        network.load_state_dict(load_weights(entry.name, "final" if which == "main" else "early"))
    elif path is not None:
        require_recorded(path)
        if entry.own:
            state = read_state(path, network.wrapped.state_dict())
            fix = f"give {entry.own} the options that the weights were made with"
            load_strict(network.wrapped, state, str(path), fix=fix)
        else:
            load_strict(network, adapt(network, entry.family, read_state(path)), str(path), ignore=UNUSED)
    elif checkpoint.kind == "none" and any(True for _ in network.parameters()):
        fix = "give their file as `weights`, or `weights: random` for throughput benchmarks"
        raise UserError(f"{entry.name} has parameters and no weights", where=network.at, fix=fix)
    return network.eval().requires_grad_(False).to(device)


def adapt(network: Denoiser, family: Family, state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Published weights without the half of the last layer that the family does not use."""
    adapted = dict(state)
    out = network.architecture.out_channels
    for name in LAST_LAYER:
        rows = adapted.get(name)
        if family.unused_half and rows is not None and len(rows) == 2 * out * network.architecture.patch_size**2:
            # Patches are laid out (p, q, channel), the unused channels after the used ones.
            adapted[name] = rows.unflatten(0, (-1, 2 * out))[:, :out].flatten(0, 1)
    return adapted


def present(entry: ModelInfo, checkpoint: Checkpoint) -> Path | None:
    """The checkpoint's file or folder, or None for weights without one.

    Raises UserError when it is missing or has not the digest that the suite requires.
    """
    path, source, public = checkpoint.path, checkpoint.source, entry.public
    if path is None:
        return None
    where = str(path)
    there = path.is_dir() if checkpoint.kind == "folder" else path.is_file()
    if there:
        if checkpoint.sha256 is None or sha256_of(path) == checkpoint.sha256:
            return path
        what = f"the file has sha256 {sha256_of(path)[:12]}..., and the suite asks for {checkpoint.sha256[:12]}..."
        fix = "fetch the right file, or correct sha256 in the suite"
    elif checkpoint.kind == "folder":
        what, where = f"the pipeline {source} is not on this machine", "model.weights"
        fix = f"download it (`hf download {source}`), or give its folder"
    elif public is not None:
        what = f"the weights of {public.name} are missing: {public.file} from {public.source} ({public.licence})"
        fix = f"fetch them with `sgbench models fetch {public.name}`, or put the file there"
    elif source is not None:
        what, fix = f"the weights were not fetched from {source}", f"run `sgbench models fetch '{source}'`"
    else:
        what = f"the weight file {path.name} is missing"
        fix = f"put weights of {entry.family.title} there, or correct the path"
    raise UserError(what, where=where, fix=fix)
