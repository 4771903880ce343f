"""Models that come as folders of diffusers' layout, read from their configurations. No torch."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from sgbench.base.errors import UserError, plain
from sgbench.files.digest import sha256_file, sha256_of, sidecar_path, unreadable
from sgbench.models.architectures import PRXArchitecture, Routes
from sgbench.models.architectures.prx import CAPTION_TOKENS

INDEX = "model_index.json"
PARTS = (".safetensors", ".json", ".txt", ".model")
PIPELINE = "PRXPipeline"
# Where diffusers keeps the widths of an autoencoder's stages; every stage but one halves the side.
STAGES = {"AutoencoderKL": "block_out_channels", "AutoencoderDC": "encoder_block_out_channels"}
# diffusers' name of a size, where ours differs.
NAMES = {"context_in_dim": "caption_channels"}


def prx_from_config(
    config: Mapping[str, Any],
    resolution: int,
    routes: Routes,
    shrink: int = 8,
    caption_tokens: int = CAPTION_TOKENS,
    trained_gamma: float = 0.0,
) -> PRXArchitecture:
    """The record behind a pipeline's transformer/config.json.

    resolution is the side of the finished image in pixels, shrink how often it is larger than that of its latents (8
    for Flux' autoencoder, 32 for DC-AE). Raises ValueError for sizes that are unknown, missing or do not fit.
    """
    if resolution % shrink:
        raise ValueError(f"resolution {resolution} is not a multiple of {shrink}, the pixels of a latent")
    # diffusers keeps notes under names that start with an underscore, and writes null for a default.
    given = {name: value for name, value in config.items() if not name.startswith("_") and value is not None}
    sizes = {NAMES.get(name, name): value for name, value in given.items()}
    return PRXArchitecture(
        **sizes,
        input_size=resolution // shrink,
        caption_tokens=caption_tokens,
        routes=routes,
        trained_gamma=trained_gamma,
    )


def read_pipeline(folder: Path, routes: Routes, resolution: int | None = None) -> PRXArchitecture:
    """The record of the model in a folder, at `resolution` pixels or the pipeline's own.

    Raises UserError when it is no folder of diffusers' layout, another pipeline, or its parts do not fit together.
    """
    if not (folder / INDEX).is_file():
        raise UserError(
            f"no pipeline is in the folder: {INDEX} is missing",
            where=str(folder),
            fix="give a folder of diffusers' layout, such as a downloaded Photoroom/prx-512-t2i-sft",
        )
    index = read_json(folder / INDEX)
    if index.get("_class_name") != PIPELINE:
        raise UserError(
            f"the pipeline is {_quoted(index.get('_class_name'))}, and only {PIPELINE} is known",
            where=str(folder / INDEX),
            fix=f"give a folder of a {PIPELINE}",
        )
    vae = read_json(folder / "vae" / "config.json")
    transformer = read_json(folder / "transformer" / "config.json")
    longest = read_json(folder / "tokenizer" / "tokenizer_config.json").get("model_max_length", CAPTION_TOKENS)
    try:
        if vae["latent_channels"] != transformer["in_channels"]:
            raise ValueError(
                f"the autoencoder has {vae['latent_channels']} channels, the transformer {transformer['in_channels']}"
            )
        return prx_from_config(
            transformer,
            resolution or index.get("default_sample_size", 512),
            routes,
            2 ** (len(vae[STAGES[vae["_class_name"]]]) - 1),
            # transformers writes a number without meaning where none was set.
            min(longest, CAPTION_TOKENS),
        )
    except (ValueError, KeyError, TypeError) as error:
        raise UserError(
            f"the pipeline's configurations make no model ({_reason(error)})",
            where=str(folder),
            fix="correct the resolution or the routes, or download the folder again",
        ) from error


def pipeline_sha256(folder: Path) -> str:
    """One digest for all that images depend on: weights, configurations and tokenizer, part by part."""
    files = [file for file in sorted(folder.glob("*/*")) if file.suffix in PARTS and not file.name.startswith(".")]
    noted = {sidecar_path(file) for file in files}
    told = "".join(f"{file.relative_to(folder).as_posix()} {_digest(file)}\n" for file in files if file not in noted)
    return hashlib.sha256(told.encode()).hexdigest()


def _digest(file: Path) -> str:
    """Only weights are large enough for a digest to be noted beside them."""
    return sha256_of(file) if file.suffix == ".safetensors" else sha256_file(file)


def read_json(path: Path) -> dict[str, Any]:
    """A configuration of a pipeline's part. Raises UserError when it cannot be read or is none."""
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise unreadable(path, error) from error
    except (ValueError, RecursionError) as error:
        raise UserError("the file is not JSON", where=str(path), fix="download the folder again") from error
    if not isinstance(content, dict):
        raise UserError("the file is no configuration", where=str(path), fix="download the folder again")
    return content


def _reason(error: Exception) -> str:
    if isinstance(error, KeyError):
        return f"{error} is missing or unknown"
    place = error.errors()[0]["loc"] if isinstance(error, ValidationError) else ()
    return ": ".join([*map(str, place), plain(error)])


def _quoted(value: object) -> str:
    return value if isinstance(value, str) else "of no known class"
