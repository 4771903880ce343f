"""Files of a reference: parts as safetensors with their digests, packed and quantised where nothing is lost."""

import hashlib
import json
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from safetensors import SafetensorError
from safetensors.numpy import load, save

from sgbench.base.atomic import refusal, write_atomic
from sgbench.base.errors import UserError
from sgbench.metrics.references.catalogue import CARD

Array = NDArray[Any]


def pack(covariance: NDArray[np.float64]) -> NDArray[np.float64]:
    """The lower triangle of a symmetric matrix, row by row."""
    return np.asarray(covariance[np.tril_indices(len(covariance))])


def unpack(triangle: NDArray[np.floating]) -> NDArray[np.float64]:
    """The symmetric matrix of a packed lower triangle."""
    side = int((np.sqrt(8 * len(triangle) + 1) - 1) / 2)
    matrix = np.zeros((side, side))
    matrix[np.tril_indices(side)] = triangle
    return matrix + np.tril(matrix, -1).T


def quantise(features: NDArray[np.float32]) -> tuple[NDArray[np.uint8], NDArray[np.float32]]:
    """Non-negative features in 256 steps per dimension, and the steps (D,): an eighth of the size."""
    step = (features.max(axis=0) / 255).clip(min=np.finfo(np.float32).tiny).astype(np.float32)
    return np.rint(features / step).astype(np.uint8), step


def write_part(folder: Path, key: str, arrays: dict[str, Array]) -> dict[str, Any]:
    """Write one part and return its entry in the card. Raises UserError where it cannot be written."""
    payload = save({name: np.ascontiguousarray(array) for name, array in arrays.items()})
    path = folder / f"{key}.safetensors"
    _write(path, payload)
    return {"file": path.name, "sha256": hashlib.sha256(payload).hexdigest(), "arrays": sorted(arrays)}


def write_card(folder: Path, card: dict[str, Any]) -> None:
    """Write reference.json, after its parts. Raises UserError where it cannot be written."""
    _write(folder / CARD, (json.dumps(card, indent=1) + "\n").encode())


def _write(path: Path, payload: bytes) -> None:
    try:
        write_atomic(path, payload)
    except OSError as error:
        fix = "make room or fix the permissions, then repeat the command"
        raise refusal(error, "the file could not be written", where=path, fix=fix) from error


def read_part(path: Path, sha256: str) -> dict[str, Array]:
    """A verified part. Raises UserError for one that is missing or damaged."""
    try:
        payload = path.read_bytes()
        if hashlib.sha256(payload).hexdigest() != sha256:
            raise ValueError("its sha256 differs")
        return load(payload)
    except (OSError, ValueError, SafetensorError) as error:
        reason = getattr(error, "strerror", None) or error
        raise UserError(
            f"the part of the reference is missing or damaged ({reason})",
            where=str(path),
            fix="delete its folder and repeat the command",
        ) from error
