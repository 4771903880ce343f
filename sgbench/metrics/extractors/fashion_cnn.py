"""The packaged classifier: 96 features and the class it sees. Trained by this project on the training split."""

from __future__ import annotations

from pathlib import Path

import torch
from safetensors.torch import load_file
from torch import Tensor, nn

from sgbench.networks.checkpoints import load_strict
from sgbench.networks.classifier import FashionCNN


class FashionFeatures(nn.Module):
    """Images uint8 (n, 1, 32, 32) to `features` (n, 96) and `classes` (n,)."""

    def __init__(self, path: Path) -> None:
        super().__init__()
        self.classifier = FashionCNN()
        state = {name: t.float() if t.is_floating_point() else t for name, t in load_file(path).items()}
        load_strict(self.classifier, state, str(path))

    def forward(self, images: Tensor) -> dict[str, Tensor]:
        """Both outputs of one batch."""
        features = self.classifier.features(images.float() / 127.5 - 1)
        return {"features": features, "classes": self.classifier.head(features).argmax(1)}


def load(path: Path, device: torch.device) -> FashionFeatures:
    """The classifier from its weights."""
    return FashionFeatures(path).eval().requires_grad_(False).to(device)
