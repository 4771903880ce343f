"""The packaged classifier: 96 features and the class it sees. Trained by this project on the training split."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sgbench.metrics.instrument import Extractor, Weights

if TYPE_CHECKING:
    from pathlib import Path

    import torch
    from torch import Tensor

    from sgbench.metrics.extract import Network


def load(paths: list[Path], device: torch.device) -> Network:
    """Images uint8 (n, 1, 32, 32) to `features` (n, 96) and `classes` (n,)."""
    from safetensors.torch import load_file

    from sgbench.networks.checkpoints import load_strict
    from sgbench.networks.classifier import FashionCNN

    classifier = FashionCNN()
    load_strict(classifier, load_file(paths[0]), str(paths[0]))
    classifier = classifier.eval().requires_grad_(False).to(device)

    def outputs(images: Tensor) -> dict[str, Tensor]:
        features = classifier.features(images.float() / 127.5 - 1)
        return {"features": features, "classes": classifier.head(features).argmax(1)}

    return outputs


EXTRACTORS = (
    Extractor(
        "fashion-cnn",
        "the packaged classifier of Fashion-MNIST",
        (Weights("fashion-cnn", "fd, kd, precision, recall, density, coverage, label_agreement", packaged=True),),
        "32 x 32 grey, x / 127.5 - 1",
        0.022,
        ("xiao2017fashionmnist",),
        load=load,
        widths={"features": 96, "classes": 1},
        batch=240,
        channels=1,
        side=32,
    ),
)
