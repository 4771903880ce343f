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
from sgbench.score.extractors.fashion_cnn import extract, load_classifier
from sgbench.score.frechet import Gaussian, Matrix, fit, frechet_distance, square_root
from sgbench.score.protocols import EXTRACTOR, REFERENCE_CARD
from sgbench.zoo import data, weights


class Reference(NamedTuple):
    """What generated images are compared with."""

    moments: Gaussian
    root: Matrix
    held_out: NDArray[np.float32]

    def floor(self, samples: int) -> tuple[float, float]:
        """Distance of `samples` real held-out images to the reference: mean and standard deviation over
        as many disjoint sets as there are (the deviation is NaN for a single set)."""
        size = min(samples, len(self.held_out))
        sets = len(self.held_out) // size
        distances = [
            frechet_distance(fit(self.held_out[i * size : (i + 1) * size]), self.moments, self.root)
            for i in range(sets)
        ]
        return float(np.mean(distances)), float(np.std(distances, ddof=1)) if sets > 1 else float("nan")


@cache
def load_reference() -> Reference:
    """The packaged reference of Fashion-MNIST, verified."""
    stored = load(weights.verified_bytes(REFERENCE_CARD))
    moments = Gaussian(stored["mean"], stored["covariance"])
    return Reference(moments, square_root(moments.covariance), stored["held_out"].astype(np.float32))


def build_reference(train: data.Split, held_out: data.Split) -> None:
    """Extract features of all real images and write the packaged reference with its card."""
    device = torch.device("cpu")
    model = load_classifier(device)
    moments = fit(extract(model, train.images[..., None], device).features)
    real = extract(model, held_out.images[..., None], device).features
    payload = save(
        {"mean": moments.mean, "covariance": moments.covariance, "held_out": real.astype(np.float16)}
    )
    name = f"{REFERENCE_CARD}.safetensors"
    write_atomic(weights.FOLDER / name, payload)
    card = {
        "name": REFERENCE_CARD,
        "summary": "Moments of the 60,000 training images, features of the 10,000 held-out ones.",
        "extractor": EXTRACTOR,
        "extractor_sha256": weights.checkpoint_sha256(EXTRACTOR),
        "data_sha256": data.DIGEST,
        "files": {
            "final": {"file": name, "bytes": len(payload), "sha256": hashlib.sha256(payload).hexdigest()}
        },
    }
    write_atomic(weights.FOLDER / f"{REFERENCE_CARD}.json", (json.dumps(card, indent=1) + "\n").encode())
