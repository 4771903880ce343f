"""LPIPS (Zhang et al., arXiv 1801.03924) between two images of one seed: how far guidance moved it.

Version 0.1 on VGG16, with torch-fidelity's network; the paper's figure 7 shows its densities. Images keep their size.
"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch_fidelity import sample_similarity_lpips as port
from torchvision.models import vgg16

from sgbench.metrics.extract import exact_arithmetic, rebatched
from sgbench.networks.checkpoints import load_strict, read_state
from sgbench.stats.jackknife import Estimate
from sgbench.stats.means import mean_estimate

BATCH = 16
SLICES = ((0, 4), (4, 9), (9, 16), (16, 23), (23, 30))
CHANNELS = (64, 128, 256, 512, 512)


class LPIPS(nn.Module):
    """Two batches uint8 (n, 3, H, W) to distances (n,). Sides must be at least 16 pixels."""

    def __init__(self, backbone: dict[str, Tensor], weights: dict[str, Tensor], where: tuple[str, str]) -> None:
        super().__init__()
        network = vgg16(weights=None)
        load_strict(network, backbone, where[0])
        self.slices = nn.ModuleList(network.features[start:stop] for start, stop in SLICES)
        self.linear = nn.ModuleDict({f"lin{i}": port.NetLinLayer(c, use_dropout=True) for i, c in enumerate(CHANNELS)})
        load_strict(self.linear, weights, where[1])

    def forward(self, first: Tensor, second: Tensor) -> Tensor:
        """Distances of two batches, image by image."""
        one, other = (port.SampleSimilarityLPIPS.normalize(x) for x in (first, second))
        total = torch.zeros(len(first), device=first.device)
        for part, layer in zip(self.slices, self.linear.values(), strict=True):
            one, other = part(one), part(other)
            gap = (port.normalize_tensor(one) - port.normalize_tensor(other)) ** 2
            total = total + layer.get_submodule("model")(gap).mean(dim=(1, 2, 3))
        return total


def load(paths: list[Path], device: torch.device) -> LPIPS:
    """The network from VGG16's weights and its own."""
    states = [read_state(path) for path in paths]
    network = LPIPS(states[0], states[1], (str(paths[0]), str(paths[1])))
    return network.eval().requires_grad_(False).to(device)


def lpips(
    network: LPIPS,
    guided: Iterable[NDArray[np.uint8]],
    unguided: Iterable[NDArray[np.uint8]],
    device: torch.device,
) -> tuple[Estimate, NDArray[np.float32]]:
    """Mean distance of images uint8 (n, H, W, C) of the same seeds, with its exact error, and the distances (N,)."""
    found = []
    with torch.inference_mode(), exact_arithmetic():
        for pair in zip(rebatched(guided, BATCH), rebatched(unguided, BATCH), strict=True):
            first, second = (torch.from_numpy(_colour(x)).permute(0, 3, 1, 2).to(device) for x in pair)
            found.append(network(first, second).cpu().numpy())
    distances = np.concatenate(found)
    return mean_estimate(distances), distances


def _colour(images: NDArray[np.uint8]) -> NDArray[np.uint8]:
    return np.repeat(images, 3, axis=3) if images.shape[3] == 1 else images
