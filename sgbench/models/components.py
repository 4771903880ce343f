"""Where the parts around the denoiser are: autoencoder, text encoder, pipeline folder, and their digests. No torch.

A part is named by a local folder in diffusers' or open_clip's layout, by a Hugging Face hub id, or `none`; a pipeline
brings its `own` autoencoder. Nothing here uses the network.
"""

import hashlib
import json
from pathlib import Path
from typing import Any

from sgbench.base.errors import UserError
from sgbench.files.digest import sha256_file, sha256_of, sidecar_path, unreadable
from sgbench.files.location import hub_cache, local_path

NONE = "none"
OWN = "own"
NOT_FETCHED = "not fetched"
AUTOENCODER_WEIGHTS = ("diffusion_pytorch_model.safetensors", "vae/diffusion_pytorch_model.safetensors")
TEXT_ENCODER_WEIGHTS = (
    "open_clip_model.safetensors",
    "open_clip_pytorch_model.safetensors",
    "open_clip_pytorch_model.bin",
)
USUAL_SCALE = 0.18215
MOST_STAGES = 16
# Files of a pipeline's parts that images depend on.
PARTS = (".safetensors", ".json", ".txt", ".model")


def find_folder(name: str) -> Path | None:
    """The folder that holds the part's files on this machine, or None."""
    if Path(name).is_dir():
        return Path(name)
    repository = hub_cache() / f"models--{name.replace('/', '--')}"
    try:
        revision = (repository / "refs" / "main").read_text().strip()
    except OSError:
        return None
    return repository / "snapshots" / revision


def first_file(folder: Path | None, names: tuple[str, ...]) -> Path | None:
    """The first of these files that the folder has, or None."""
    files = [folder / name for name in names] if folder is not None else []
    return next((file for file in files if file.is_file()), None)


def autoencoder_sha256(name: str) -> str:
    """The digest of the weights; `none`, `own` and `not fetched` stand for themselves."""
    if name in (NONE, OWN):
        return name
    file = first_file(find_folder(name), AUTOENCODER_WEIGHTS)
    return NOT_FETCHED if file is None else sha256_of(file) + _other_scale(file.with_name("config.json"))


def autoencoder_sizes(name: str) -> tuple[int, int] | None:
    """Channels of its latents, and how many times smaller their side is; None where it is not here or does not say."""
    file = None if name in (NONE, OWN) else first_file(find_folder(name), AUTOENCODER_WEIGHTS)
    sizes = {} if file is None else _sizes(file.with_name("config.json"))
    channels, stages = sizes.get("latent_channels"), sizes.get("block_out_channels")
    if not isinstance(channels, int) or not isinstance(stages, list) or not 0 < len(stages) <= MOST_STAGES:
        return None
    # Every stage but one halves the side.
    return channels, 2 ** (len(stages) - 1)


def _sizes(config: Path) -> dict[str, Any]:
    """An autoencoder's configuration; nothing where it cannot be read."""
    try:
        sizes = json.loads(config.read_text())
    except (OSError, ValueError, RecursionError):
        return {}
    return sizes if isinstance(sizes, dict) else {}


def _other_scale(config: Path) -> str:
    """Scale and offset of latents where they are not those of Stable Diffusion's autoencoder: images depend on them."""
    sizes = _sizes(config)
    if not sizes:
        return ""
    scale, offset = sizes.get("scaling_factor", USUAL_SCALE), sizes.get("shift_factor") or 0
    return "" if (scale, offset) == (USUAL_SCALE, 0) else f" scale {scale} offset {offset}"


def missing_autoencoder(name: str) -> UserError:
    """The error for an autoencoder whose weights are not on this machine."""
    return UserError(
        f"the autoencoder {name} is not on this machine",
        where="autoencoder",
        fix=f"fetch it with `sgbench models fetch {name}`, give a local folder in diffusers' layout as `autoencoder`, "
        "or write `autoencoder: none` and no metrics for throughput benchmarks",
    )


def text_encoder_sha256(name: str) -> str:
    """The digest of the weights; `none` and `not fetched` stand for themselves."""
    if name == NONE:
        return NONE
    found = _find_text_encoder(name)
    file = found if found is not None and found.is_file() else first_file(found, TEXT_ENCODER_WEIGHTS)
    return NOT_FETCHED if file is None else sha256_of(file)


def require_text_encoder(name: str) -> Path:
    """The text encoder's file or folder. Raises UserError where it is not on this machine."""
    found = _find_text_encoder(name)
    if found is None:
        fix = (
            f"download it (`hf download {name}`) or give a file or folder as `text_encoder`; `none` with random "
            "weights is for throughput benchmarks"
        )
        raise UserError(f"the text encoder {name} is not on this machine", where="text_encoder", fix=fix)
    return found


def _find_text_encoder(name: str) -> Path | None:
    path = local_path(name)
    return path if path.is_file() else find_folder(name)


def pipeline_sha256(folder: Path) -> str:
    """One digest of all that images depend on: weights, configurations and tokenizer, part by part."""
    files = [file for file in sorted(folder.glob("*/*")) if file.suffix in PARTS and not file.name.startswith(".")]
    sidecars = {sidecar_path(file) for file in files}
    state = hashlib.sha256()
    for file in files:
        if file not in sidecars:
            # Only weights are large enough for their digest to be recorded in a sidecar file.
            digest = sha256_of(file) if file.suffix == ".safetensors" else sha256_file(file)
            state.update(f"{file.relative_to(folder).as_posix()} {digest}\n".encode())
    return state.hexdigest()


def read_json(path: Path) -> dict[str, Any]:
    """A configuration in a pipeline's folder. Raises UserError when it cannot be read or is not a mapping."""
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise unreadable(path, error) from error
    except (ValueError, RecursionError) as error:
        raise damaged("the file is not JSON", path) from error
    if not isinstance(content, dict):
        raise damaged("the file is not a configuration", path)
    return content


def damaged(what: str, path: Path) -> UserError:
    """The error for a file or a folder that a fresh download puts right."""
    return UserError(what, where=str(path), fix="download the folder again")
