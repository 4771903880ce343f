"""Find, verify and read the weights in the package. No torch until weights are loaded."""

from __future__ import annotations

import hashlib
import json
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from sgbench.base.errors import UserError

if TYPE_CHECKING:
    from torch import Tensor

FOLDER = Path(__file__).parent / "weights"
Checkpoint = Literal["final", "early"]


@cache
def card(name: str) -> dict[str, Any]:
    """The model card NAME.json. Raises UserError when it is missing or unreadable."""
    path = FOLDER / f"{name}.json"
    try:
        content: dict[str, Any] = json.loads(path.read_text())
    except FileNotFoundError as error:
        what, fix = f"the model card {path.name} is missing", "reinstall sgbench, or train the model"
        raise UserError(what, where=str(FOLDER), fix=fix) from error
    except ValueError as error:
        raise UserError("the model card is damaged", where=str(path), fix="reinstall sgbench") from error
    return content


def checkpoint_sha256(name: str, checkpoint: Checkpoint = "final") -> str:
    """The digest on the model card."""
    digest: str = card(name)["files"][checkpoint]["sha256"]
    return digest


def verified_bytes(name: str, checkpoint: Checkpoint = "final") -> bytes:
    """The checkpoint's bytes, after comparing their sha256 with the card's."""
    entry = card(name)["files"][checkpoint]
    return read_verified(FOLDER / entry["file"], entry["sha256"])


def read_verified(path: Path, sha256: str) -> bytes:
    """A packaged file's bytes. Raises UserError when it is missing or has another digest."""
    try:
        payload = path.read_bytes()
    except OSError as error:
        what = f"the weight file {path.name} is missing"
        raise UserError(what, where=str(path.parent), fix="reinstall sgbench") from error
    found = hashlib.sha256(payload).hexdigest()
    if found != sha256:
        what = f"the weight file is corrupt (sha256 {found[:12]}, expected {sha256[:12]})"
        raise UserError(what, where=str(path), fix="reinstall sgbench")
    return payload


def load_weights(name: str, checkpoint: Checkpoint = "final") -> dict[str, Tensor]:
    """The verified state dict, floating-point tensors in float32."""
    from safetensors.torch import load

    half = load(verified_bytes(name, checkpoint))
    return {key: t.float() if t.is_floating_point() else t for key, t in half.items()}
