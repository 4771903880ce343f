"""Turn trained weights into package data: half precision, a sha256 for each file, a model card."""

import hashlib
import json
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import save
from torch import Tensor

from sgbench.base.atomic import write_atomic
from sgbench.models.embedded import Recipe
from sgbench.training.train import Curve, Trained
from sgbench.training.train_classifier import EPOCHS, TrainedClassifier
from sgbench.zoo import data
from sgbench.zoo.shapes.captions import HELD_OUT_ABOVE, HELD_OUT_PAIRS
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
    facts = {
        "data": _SHAPES if recipe.architecture.conditions == "words" else _FASHION,
        "name": recipe.name,
        "summary": recipe.summary,
        "objective": "velocity v = noise - image of x_t = (1 - t) image + t noise; t is logit-normal(0, 1)",
        "parameters": sum(t.numel() for name, t in trained.ema.items() if not name.endswith("pos_embed")),
        "images_seen": recipe.training.steps * recipe.training.batch,
        "recipe": recipe.model_dump(mode="json"),
    }
    _export(folder, facts, {"final": trained.ema, "early": trained.early}, trained.curve)


def export_classifier(trained: TrainedClassifier, folder: Path = FOLDER) -> None:
    """Write fashion-cnn.safetensors and fashion-cnn.json into `folder`."""
    facts = {
        "data": _FASHION,
        "name": "fashion-cnn",
        "summary": "Small convolutional classifier; its 96 pooled features carry the embedded distances.",
        "accuracy_held_out": trained.accuracy,
        "epochs": EPOCHS,
    }
    _export(folder, facts, {"final": trained.weights}, trained.curve)


def thin(curve: Curve, points: int = CURVE_POINTS) -> Curve:
    """At most `points` means over equal parts of the loss curve, each at its part's last step."""
    size = -(-len(curve) // points)
    parts = [curve[start : start + size] for start in range(0, len(curve), size)]
    return [(part[-1][0], round(sum(loss for _, loss in part) / len(part), 5)) for part in parts]


def _export(folder: Path, facts: dict[str, Any], checkpoints: dict[str, dict[str, Tensor]], curve: Curve) -> None:
    """Write the weights of each checkpoint, and a card with their digests."""
    files = {}
    for kind, weights in checkpoints.items():
        path = folder / f"{facts['name']}{'' if kind == 'final' else f'-{kind}'}.safetensors"
        payload = save({name: (t.half() if t.is_floating_point() else t).contiguous() for name, t in weights.items()})
        if len(payload) > MAXIMUM_BYTES:
            raise ValueError(f"{path.name} would take {len(payload)} bytes; a checkpoint may take {MAXIMUM_BYTES}")
        write_atomic(path, payload)
        files[kind] = {"file": path.name, "bytes": len(payload), "sha256": hashlib.sha256(payload).hexdigest()}
    card = {"licence": "Apache-2.0", "torch": torch.__version__, **facts, "files": files, "loss_curve": thin(curve)}
    write_atomic(folder / f"{facts['name']}.json", (json.dumps(card, indent=1) + "\n").encode())
