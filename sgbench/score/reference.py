"""The real images' side of a score: moments of the training images, features of the held-out ones."""

from __future__ import annotations

import hashlib
import json
from functools import cache
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from safetensors.numpy import load, save

from sgbench.atomic import write_atomic
from sgbench.errors import UserError
from sgbench.score.extractors.fashion_cnn import extract, load_classifier
from sgbench.score.frechet import Gaussian, Matrix, fit, frechet_distance, square_root
from sgbench.score.protocols import EXTRACTOR, REFERENCE_CARD
from sgbench.zoo import data, weights

MAXIMUM_SETS = 20


class Reference(NamedTuple):
    """What generated images are compared with."""

    moments: Gaussian
    root: Matrix
    held_out: NDArray[np.float32]
    held_out_labels: NDArray[np.int64]


class Floor(NamedTuple):
    """Distance of real held-out images to the reference: mean over disjoint sets, their standard deviation
    (NaN for one set), the images in a set and the number of sets."""

    mean: float
    deviation: float
    images: int
    sets: int


def floor(reference: Reference, samples: int, policy: str) -> Floor:
    """The floor for `samples` images under a label policy.

    A set has as many images as a cell and, under `balanced`, as many of each class; there may be fewer
    held-out images than that, and then one set takes what there is.
    """
    order = _turns(reference.held_out_labels) if policy == "balanced" else np.arange(len(reference.held_out))
    size = min(samples, len(order))
    sets = min(len(order) // size, MAXIMUM_SETS)
    distances = [
        frechet_distance(fit(reference.held_out[order[i * size : (i + 1) * size]]), reference.moments, reference.root)
        for i in range(sets)
    ]
    deviation = float(np.std(distances, ddof=1)) if sets > 1 else float("nan")
    return Floor(float(np.mean(distances)), deviation, size, sets)


def _turns(labels: NDArray[np.int64]) -> NDArray[np.int64]:
    """Indices that take the classes in turn, as balanced cells do, until one class runs out."""
    by_class = [np.flatnonzero(labels == label) for label in range(int(labels.max()) + 1)]
    rounds = min(len(indices) for indices in by_class)
    return np.stack([indices[:rounds] for indices in by_class], axis=1).reshape(-1)


@cache
def load_reference() -> Reference:
    """The packaged reference of Fashion-MNIST, verified."""
    if weights.card(REFERENCE_CARD)["extractor_sha256"] != weights.checkpoint_sha256(EXTRACTOR):
        raise UserError(
            f"the packaged reference was made with another {EXTRACTOR} than the packaged one",
            where=REFERENCE_CARD,
            fix="run `sgbench zoo reference`",
        )
    stored = load(weights.verified_bytes(REFERENCE_CARD))
    moments = Gaussian(stored["mean"], stored["covariance"])
    return Reference(
        moments,
        square_root(moments.covariance),
        stored["held_out"].astype(np.float32),
        stored["held_out_labels"].astype(np.int64),
    )


def build_reference(train: data.Split, held_out: data.Split) -> None:
    """Extract features of all real images and write the packaged reference with its card."""
    device = torch.device("cpu")
    model = load_classifier(device)
    moments = fit(extract(model, train.images[..., None], device).features)
    real = extract(model, held_out.images[..., None], device).features
    payload = save(
        {
            "mean": moments.mean,
            "covariance": moments.covariance,
            "held_out": real.astype(np.float16),
            "held_out_labels": held_out.labels.astype(np.uint8),
        }
    )
    name = f"{REFERENCE_CARD}.safetensors"
    write_atomic(weights.FOLDER / name, payload)
    card = {
        "name": REFERENCE_CARD,
        "summary": "Moments of the 60,000 training images, features of the 10,000 held-out ones.",
        "extractor": EXTRACTOR,
        "extractor_sha256": weights.checkpoint_sha256(EXTRACTOR),
        "data_sha256": data.DIGEST,
        "files": {"final": {"file": name, "bytes": len(payload), "sha256": hashlib.sha256(payload).hexdigest()}},
    }
    write_atomic(weights.FOLDER / f"{REFERENCE_CARD}.json", (json.dumps(card, indent=1) + "\n").encode())
