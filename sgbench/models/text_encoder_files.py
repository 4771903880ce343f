"""Where the text encoder that a suite names lies: a file, a folder in open_clip's layout, or a hub id. No network."""

from __future__ import annotations

from pathlib import Path

from sgbench.base.errors import UserError
from sgbench.files.digest import sha256_of
from sgbench.files.location import local_path
from sgbench.models.autoencoder_files import NONE, NOT_FETCHED, find_folder

WEIGHTS = ("open_clip_model.safetensors", "open_clip_pytorch_model.safetensors", "open_clip_pytorch_model.bin")


def find_text_encoder(name: str) -> Path | None:
    """The file or folder on this machine, or None."""
    path = local_path(name)
    return path if path.is_file() else find_folder(name)


def text_encoder_sha256(name: str) -> str:
    """The digest of the weights; `none` and `not fetched` stand for themselves."""
    if name == NONE:
        return NONE
    found = find_text_encoder(name)
    if found is None:
        return NOT_FETCHED
    file = found if found.is_file() else next((found / n for n in WEIGHTS if (found / n).is_file()), None)
    return NOT_FETCHED if file is None else sha256_of(file)


def require_text_encoder(name: str) -> Path:
    """The file or folder. Raises UserError where it is not on this machine."""
    found = find_text_encoder(name)
    if found is None:
        raise UserError(
            f"the text encoder {name} is not on this machine",
            where="text_encoder",
            fix=f"download it (`hf download {name}`) or give a file or folder as `text_encoder`; `none` with random "
            "weights is for work on throughput",
        )
    return found
