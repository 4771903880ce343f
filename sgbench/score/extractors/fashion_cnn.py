"""Features and predicted classes of the embedded classifier."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray

from sgbench.models.classifier import FashionCNN
from sgbench.zoo.weights import load_weights

BATCH = 500


class Features(NamedTuple):
    """Features float32 (N, D) and the most likely class int64 (N,)."""

    features: NDArray[np.float32]
    classes: NDArray[np.int64]


def load_classifier(device: torch.device) -> FashionCNN:
    """The verified classifier in evaluation mode."""
    model = FashionCNN()
    model.load_state_dict(load_weights("fashion-cnn"))
    return model.eval().requires_grad_(False).to(device)


@torch.inference_mode()
def extract(model: FashionCNN, images: NDArray[np.uint8], device: torch.device) -> Features:
    """Features of images uint8 (N, 32, 32, 1); always float32, so that a score never depends on a fast mode."""
    features, classes = [], []
    for start in range(0, len(images), BATCH):
        batch = torch.from_numpy(images[start : start + BATCH]).permute(0, 3, 1, 2).to(device)
        found = model.features(batch.float() / 127.5 - 1)
        features.append(found.cpu())
        classes.append(model.head(found).argmax(1).cpu())
    return Features(torch.cat(features).numpy(), torch.cat(classes).numpy())
