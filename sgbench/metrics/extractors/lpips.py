"""LPIPS 0.1 (Zhang et al., arXiv 1801.03924) on VGG16, with torch-fidelity's layers: how far apart two images are.

It compares pairs of images, so no output is kept. Images keep their size; the paper's figure 7 shows its densities.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from sgbench.metrics.instrument import Extractor, WeightFile, Weights

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from pathlib import Path

    import numpy as np
    import torch
    from numpy.typing import NDArray
    from torch import Tensor

    Images = Iterable[NDArray[np.uint8]]
    Distance = Callable[[Tensor, Tensor], Tensor]

BATCH = 16
SLICES = ((0, 4), (4, 9), (9, 16), (16, 23), (23, 30))
CHANNELS = (64, 128, 256, 512, 512)


def load(paths: list[Path], device: torch.device) -> Distance:
    """Two batches uint8 (n, 3, H, W), sides at least 16 pixels, to distances (n,); weights are VGG16's and its own."""
    import torch
    from torch import nn
    from torch_fidelity import sample_similarity_lpips as port
    from torchvision.models import vgg16

    from sgbench.networks.checkpoints import load_strict, read_state

    vgg = vgg16(weights=None)
    linear = nn.ModuleDict({f"lin{i}": port.NetLinLayer(c, use_dropout=True) for i, c in enumerate(CHANNELS)})
    for network, path in ((vgg, paths[0]), (linear, paths[1])):
        load_strict(network, read_state(path), str(path))
        network.eval().requires_grad_(False).to(device)
    slices = [vgg.features[start:stop] for start, stop in SLICES]

    def distances(first: Tensor, second: Tensor) -> Tensor:
        one, other = (port.SampleSimilarityLPIPS.normalize(x) for x in (first, second))
        total = torch.zeros(len(first), device=first.device)
        for part, layer in zip(slices, linear.values(), strict=True):
            one, other = part(one), part(other)
            gap = (port.normalize_tensor(one) - port.normalize_tensor(other)) ** 2
            total = total + layer.get_submodule("model")(gap).mean(dim=(1, 2, 3))
        return total

    return distances


def lpips(network: Distance, guided: Images, unguided: Images, device: torch.device) -> NDArray[np.float32]:
    """Distances (N,) of images uint8 (n, H, W, C) of the same seeds."""
    import numpy as np
    import torch

    from sgbench.metrics.extract import exact_arithmetic, rebatched

    found = []
    with torch.inference_mode(), exact_arithmetic():
        for pair in zip(rebatched(guided, BATCH), rebatched(unguided, BATCH), strict=True):
            coloured = (np.repeat(x, 3, axis=3) if x.shape[3] == 1 else x for x in pair)
            first, second = (torch.from_numpy(x).permute(0, 3, 1, 2).to(device) for x in coloured)
            found.append(network(first, second).cpu().numpy())
    return np.concatenate(found)


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
