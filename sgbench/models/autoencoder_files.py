"""Which autoencoder decodes latents and where its files are. No torch, no network.

An autoencoder is named by a local folder in diffusers' layout, by a Hugging Face hub id, or `none`; a pipeline brings
its `own`.
"""

from __future__ import annotations

import json
from pathlib import Path

from sgbench.base.errors import UserError
from sgbench.files.digest import sha256_of
from sgbench.files.location import hub_cache

NONE = "none"
OWN = "own"
WEIGHTS = ("diffusion_pytorch_model.safetensors", "vae/diffusion_pytorch_model.safetensors")
NOT_FETCHED = "not fetched"
USUAL_SCALE = 0.18215


def find_folder(name: str) -> Path | None:
    """The folder that holds the autoencoder's files on this machine, or None."""
    if Path(name).is_dir():
        return Path(name)
    cache = hub_cache()
    repository = cache / f"models--{name.replace('/', '--')}"
    try:
        revision = (repository / "refs" / "main").read_text().strip()
    except OSError:
        return None
    return repository / "snapshots" / revision


def weights_file(folder: Path) -> Path | None:
    """The autoencoder's weights in a folder of diffusers' layout."""
    return next((folder / name for name in WEIGHTS if (folder / name).is_file()), None)


def autoencoder_sha256(name: str) -> str:
    """The digest of the weights; `none`, `own` and `not fetched` stand for themselves."""
    if name in (NONE, OWN):
        return name
    folder = find_folder(name)
    file = None if folder is None else weights_file(folder)
    return NOT_FETCHED if file is None else sha256_of(file) + _other_scale(file.with_name("config.json"))


def _other_scale(config: Path) -> str:
    """Scale and offset of latents where they are not those of Stable Diffusion's autoencoder: images depend on them."""
    try:
        sizes = json.loads(config.read_text())
    except (OSError, ValueError, RecursionError):
        return ""
    if not isinstance(sizes, dict):
        return ""
    scale, offset = sizes.get("scaling_factor", USUAL_SCALE), sizes.get("shift_factor") or 0
    return "" if (scale, offset) == (USUAL_SCALE, 0) else f" scale {scale} offset {offset}"


def missing(name: str) -> UserError:
    """What to say when the weights are not on this machine."""
    return UserError(
        f"the autoencoder {name} is not on this machine",
        where="autoencoder",
        fix=f"fetch it with `sgbench models fetch {name}`, give a local folder in diffusers' layout as `autoencoder`, "
        "or write `autoencoder: none` and no metrics for throughput work",
    )
