"""LPIPS 0.1 (Zhang et al., arXiv 1801.03924) on VGG16: compares pairs of images, so no output is kept."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sgbench.metrics.instrument import Extractor, WeightFile, Weights

if TYPE_CHECKING:
    from pathlib import Path

    import torch

    from sgbench.metrics.numerics.lpips import LPIPS


def load(paths: list[Path], device: torch.device) -> LPIPS:
    """The network from VGG16's weights and its own."""
    from sgbench.metrics.numerics.lpips import load

    return load(paths, device)


_WEIGHTS = (
    WeightFile(
        "vgg16-397923af.pth",
        "https://download.pytorch.org/models/vgg16-397923af.pth",
        "BSD-3-Clause",
        553_433_881,
        "397923af",
    ),
    WeightFile(
        "weights-vgg16-lpips.pth",
        "https://github.com/toshas/torch-fidelity/releases/download/v0.2.0/weights-vgg16-lpips.pth",
        "BSD-2-Clause",
    ),
)
EXTRACTORS = (
    Extractor(
        "lpips",
        "LPIPS 0.1 on VGG16, as torch-fidelity ports it",
        (Weights("lpips", "lpips", _WEIGHTS),),
        "RGB, no resize, LPIPS mean and deviation",
        40.4,
        ("simonyan2015vgg", "obukhov2020torchfidelity"),
        load=load,
        widths={},
    ),
)
