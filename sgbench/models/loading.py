"""From a catalogue entry to a network with its weights."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

import torch

from sgbench.errors import UserError
from sgbench.models.build import Network, build
from sgbench.models.catalogue import Checkpoint, Entry
from sgbench.models.checkpoints import load_strict, read_state
from sgbench.zoo.weights import load_weights

# Parts of published checkpoints that sampling has no use for.
UNUSED = ("projectors.", "rel_pos_embed")
RANDOM_SEED = 0


def load_network(entry: Entry, which: Literal["main", "auxiliary"], device: torch.device) -> Network:
    """The network with verified weights, in evaluation mode. Raises UserError when they are missing or do not fit."""
    checkpoint = entry.main if which == "main" else entry.auxiliary
    if checkpoint is None:
        raise UserError(f"{entry.name} has no auxiliary checkpoint", where="model", fix="choose another rule")
    torch.manual_seed(RANDOM_SEED)
    network = build(entry.architecture)
    if checkpoint.kind == "packaged":
        network.load_state_dict(load_weights(entry.name, "final" if which == "main" else "early"))
    elif checkpoint.kind == "file":
        path = _present(entry, checkpoint)
        load_strict(network, read_state(path), str(path), ignore=UNUSED)
    return network.eval().requires_grad_(False).to(device)


def _present(entry: Entry, checkpoint: Checkpoint) -> Path:
    path = checkpoint.path
    assert path is not None
    if path.is_file():
        return path
    public = entry.public
    if public is None:
        raise UserError(f"the weight file {path.name} is missing", where=str(path), fix="correct the path")
    raise UserError(
        f"the weights of {public.name} are missing: {public.file} from {public.source} ({public.licence})",
        where=str(path),
        fix=f"fetch them with `sgbench models fetch {public.name}`, or put the file there",
    )
