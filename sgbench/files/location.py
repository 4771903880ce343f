"""Where a checkpoint named by a path, an address or a hub id is on this machine. No torch, no network."""

import hashlib
import os
from pathlib import Path, PurePosixPath
from urllib.parse import urlparse

from sgbench.base.errors import UserError

HUB = "hf://"
REMOTE = (HUB, "https://", "http://")


def models_folder() -> Path:
    """$SGBENCH_MODELS, or ~/.cache/sgbench/models."""
    return Path(os.environ.get("SGBENCH_MODELS") or Path.home() / ".cache" / "sgbench" / "models")


def is_remote(source: str) -> bool:
    """Whether `source` must be fetched before it can be read: an address, or hf://OWNER/NAME/FILE."""
    return source.startswith(REMOTE)


def local_path(source: str) -> Path:
    """The file itself for a path; for anything remote, where `sgbench models fetch` puts it."""
    if not is_remote(source):
        try:
            return Path(source).expanduser()
        except RuntimeError as error:
            raise UserError("there is no such user", where=source, fix="write the whole path") from error
    try:
        name = PurePosixPath(urlparse(source).path).name or "checkpoint"
    except ValueError as error:
        raise UserError(f"this is not a valid address ({error})", where=source, fix="correct it") from error
    # Files of the same name from two addresses are kept apart.
    return models_folder() / "addresses" / hashlib.sha256(source.encode()).hexdigest()[:12] / name


def hub_cache() -> Path:
    """Where the library of the Hugging Face hub keeps what it fetched."""
    home = Path(os.environ.get("HF_HOME") or Path.home() / ".cache" / "huggingface")
    return Path(os.environ.get("HF_HUB_CACHE") or home / "hub")
