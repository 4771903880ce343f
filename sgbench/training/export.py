"""Turn trained weights into package data: half precision, a sha256 for each file, a model card."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import save
from torch import Tensor

from sgbench.base.atomic import write_atomic
from sgbench.models.embedded import Recipe
from sgbench.training.train import Trained
from sgbench.training.train_classifier import EPOCHS, TrainedClassifier
from sgbench.zoo import data
from sgbench.zoo.shapes.vocabulary import HELD_OUT_ABOVE, HELD_OUT_PAIRS
from sgbench.zoo.weights import FOLDER

MAXIMUM_BYTES = 6_000_000
CURVE_POINTS = 40
_FASHION = {
    "name": "Fashion-MNIST",
    "origin": "Zalando Research, arXiv 1708.07747",
    "licence": "MIT",
    "images": f"{data.TRAIN} for training, {data.HELD_OUT} held out, padded to 32 x 32",
    "sha256": data.DIGEST,
    "split_seed": data.SPLIT_SEED,
}
_SHAPES = {
    "name": "drawn shapes",
    "origin": "this project, sgbench/zoo/shapes",
    "licence": "Apache-2.0",
    "images": "rendered for every step, 32 x 32; no image is shown twice",
    "held_out": sorted(f"{colour} {shape}" for colour, shape in HELD_OUT_PAIRS)
    + [f"{shape} above another" for shape in sorted(HELD_OUT_ABOVE)],
}


def export_model(recipe: Recipe, trained: Trained, folder: Path = FOLDER) -> None:
    """Write NAME.safetensors, NAME-early.safetensors and NAME.json into `folder`."""
    files = {
        "final": _write_weights(folder / f"{recipe.name}.safetensors", trained.ema),
        "early": _write_weights(folder / f"{recipe.name}-early.safetensors", trained.early),
    }
    parameters = sum(t.numel() for name, t in trained.ema.items() if not name.endswith("pos_embed"))
    drawn = recipe.architecture.family == "textdit"
    card = {
        **_common(_SHAPES if drawn else _FASHION),
        "name": recipe.name,
        "summary": recipe.summary,
        "objective": "velocity v = noise - image of x_t = (1 - t) image + t noise; t is logit-normal(0, 1)",
        "parameters": parameters,
        "images_seen": recipe.training.steps * recipe.training.batch,
        "recipe": recipe.model_dump(mode="json"),
        "files": files,
        "loss_curve": thin(trained.curve),
    }
    _write_json(folder / f"{recipe.name}.json", card)


def export_classifier(trained: TrainedClassifier, folder: Path = FOLDER) -> None:
    """Write fashion-cnn.safetensors and fashion-cnn.json into `folder`."""
    files = {"final": _write_weights(folder / "fashion-cnn.safetensors", trained.weights)}
    card = {
        **_common(_FASHION),
        "name": "fashion-cnn",
        "summary": "Small convolutional classifier; its 96 pooled features carry the embedded distances.",
        "accuracy_held_out": trained.accuracy,
        "epochs": EPOCHS,
        "files": files,
        "loss_curve": thin(trained.curve),
    }
    _write_json(folder / "fashion-cnn.json", card)


def thin(curve: list[tuple[int, float]], points: int = CURVE_POINTS) -> list[tuple[int, float]]:
    """At most `points` means over equal runs of the loss curve, each at its run's last step."""
    size = -(-len(curve) // points)
    runs = [curve[start : start + size] for start in range(0, len(curve), size)]
    return [(run[-1][0], round(sum(loss for _, loss in run) / len(run), 5)) for run in runs]


def _common(shown: dict[str, Any]) -> dict[str, Any]:
    return {"licence": "Apache-2.0", "data": shown, "torch": torch.__version__}


def _write_weights(path: Path, weights: dict[str, Tensor]) -> dict[str, Any]:
    half = {
        name: tensor.half().contiguous() if tensor.is_floating_point() else tensor.contiguous()
        for name, tensor in weights.items()
    }
    payload = save(half)
    if len(payload) > MAXIMUM_BYTES:
        raise ValueError(f"{path.name} would take {len(payload)} bytes; a checkpoint may take {MAXIMUM_BYTES}")
    write_atomic(path, payload)
    return {"file": path.name, "bytes": len(payload), "sha256": hashlib.sha256(payload).hexdigest()}


def _write_json(path: Path, content: dict[str, Any]) -> None:
    write_atomic(path, (json.dumps(content, indent=1) + "\n").encode())
