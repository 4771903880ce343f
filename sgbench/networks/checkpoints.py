"""Public checkpoints: read them without running their code, find the network's weights in them, load them strictly.

They come as safetensors or as torch files, bare or in a training state, with prefixes of what the network was wrapped
in. Whatever else a file holds is refused with what was found, rather than guessed.
"""

import re
import shlex
import warnings
from collections.abc import Collection, Mapping
from pathlib import Path

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from sgbench.base.atomic import writing
from sgbench.base.errors import UserError
from sgbench.files.digest import unreadable
from sgbench.files.picking import WRAPPERS, pick
from sgbench.networks.mismatch import explain_mismatch

ZIP_MAGIC = b"PK\x03\x04"
# What a failed download leaves under the name of a checkpoint.
NOT_WEIGHTS = {
    b"<!doctype": "a web page",
    b"<html": "a web page",
    b"<?xml": "a server's answer in XML",
    b"version https://git-lfs": "a Git LFS pointer instead of the file",
}
REFUSED = re.compile(r"GLOBAL (\S+) (?:was not an allowed|whose module)")


class PickledObjectsError(UserError):
    """A file that only full unpickling can read, which runs code from the file."""


def read_state(path: Path, known: Collection[str] = ()) -> dict[str, Tensor]:
    """The network's weights in a file, on the CPU; `known` are its own names for them, where they matter.

    Raises UserError when there are none to be read.
    """
    return pick_weights(read_content(path), str(path), known)[0]


def read_content(path: Path) -> object:
    """All that a checkpoint file holds; safetensors by its suffix, anything else as a torch file.

    Runs no code of the file. Raises PickledObjectsError for pickled objects, UserError for what is not a checkpoint.
    """
    try:
        with path.open("rb") as stream:
            head = stream.read(64)
    except OSError as error:
        raise unreadable(path, error) from error
    if not head:
        raise UserError("the file is empty", where=str(path), fix="download it again")
    for start, name in NOT_WEIGHTS.items():
        if head.lower().startswith(start):
            raise UserError(f"the file is {name}", where=str(path), fix="download the checkpoint itself")
    if path.suffix == ".safetensors":
        try:
            return load_file(path)
        except (OSError, SafetensorError) as error:
            raise _damaged(path, error) from error
    return _read_torch(path, mapped=head.startswith(ZIP_MAGIC))


def _read_torch(path: Path, mapped: bool) -> object:
    try:
        with warnings.catch_warnings():
            # Torch warns of an archive with a program before it refuses it.
            warnings.simplefilter("ignore")
            return torch.load(path, map_location="cpu", weights_only=True, mmap=mapped)
    except Exception as error:  # A damaged file can end the reader in any way.
        message = str(error)
        if "TorchScript" in message:
            what, fix = "the file is a TorchScript program", "ask its author for a state dict"
            raise UserError(what, where=str(path), fix=fix) from error
        refused = REFUSED.search(message)
        # Other objects, or a pickle protocol that the safe reader does not know, in an intact archive.
        if refused or (mapped and "WeightsUnpickler error" in message):
            first = f" (the first is {refused[1].rstrip('.')})" if refused else ""
            command = f"sgbench models convert {shlex.quote(str(path))} {shlex.quote(path.stem)}.safetensors"
            raise PickledObjectsError(
                f"the file holds pickled objects that could run code{first}",
                where=str(path),
                fix=f"convert it once, in a process of its own, if you trust its source: {command} --trust-pickle",
            ) from error
        raise _damaged(path, error) from error


def _damaged(path: Path, error: Exception) -> UserError:
    reason = (str(error).splitlines() or [type(error).__name__])[0].partition(". ")[0]
    if "Weights only load failed" in reason:
        reason = "torch does not know its format"
    fix = "compare its size and sha256 with its source's and download it again"
    return UserError(f"the file is damaged or no checkpoint ({reason})", where=str(path), fix=fix)


def pick_weights(content: object, where: str, known: Collection[str] = ()) -> tuple[dict[str, Tensor], str]:
    """The network's weights in the content of a checkpoint, and a note of what was picked.

    Averaged (EMA) weights win over plain ones. A prefix is stripped only when all names carry it, which leaves a
    submodule of that name alone, and not where all `known` names of the network have it. Raises UserError when there
    are no tensors.
    """
    weights, note = pick(content, Tensor, known)
    if not weights:
        found = ", ".join(map(str, list(content)[:8])) if isinstance(content, Mapping) else type(content).__name__
        what = f"no weights of a network are in the file (found: {found or 'nothing'})"
        fix = f"give a file with a state dict, bare or under one of {', '.join(WRAPPERS)}"
        raise UserError(what, where=where, fix=fix)
    return weights, note


def load_strict(
    network: nn.Module, state: Mapping[str, Tensor], where: str, ignore: tuple[str, ...] = (), fix: str = ""
) -> None:
    """Load weights into a network of exactly their names and shapes, converted to the network's dtype.

    Names that start with one of `ignore` are dropped first. Raises UserError with the likely cause of a mismatch,
    before anything has been loaded; `where` is the path of the file, `fix` what to do where a family is not at fault.
    """
    kept = {name: tensor for name, tensor in state.items() if not name.startswith(ignore)}
    expected = {name: tuple(tensor.shape) for name, tensor in network.state_dict().items()}
    problem = explain_mismatch(expected, {name: tuple(tensor.shape) for name, tensor in kept.items()})
    if problem is not None:
        shows = f"sgbench models info {shlex.quote(where)} shows what is in the file"
        fix = fix or "name the family and the size that the weights were made for"
        raise UserError(problem, where=where, fix=f"{fix} ({shows})")
    network.load_state_dict(kept)


def save_weights(weights: Mapping[str, Tensor], path: Path, metadata: dict[str, str]) -> None:
    """Write tensors as they are to a safetensors file, whole or not at all. Raises UserError when it cannot."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with writing(path) as stream:
            save_file(_unshared(weights), stream.name, metadata)
    except (OSError, ValueError, KeyError, SafetensorError) as error:
        needed = sum(tensor.nbytes for tensor in weights.values())
        what = f"the weights cannot be written ({error}): {needed:,} bytes are needed"
        raise UserError(what, where=str(path), fix="check the folder and the space left") from error


def _unshared(weights: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Contiguous tensors that share no memory, as safetensors requires."""
    taken: set[int] = set()
    unshared: dict[str, Tensor] = {}
    for name, tensor in weights.items():
        own = tensor.detach().contiguous()
        memory = own.untyped_storage().data_ptr()
        unshared[name] = own.clone() if memory in taken else own
        taken.add(memory)
    return unshared
