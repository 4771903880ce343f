"""Distance to the nearest training image, a check of memorisation: copies lie far closer than unseen real images do.

It is no quality: beside it stands the same mean for real images that were held out of training. A model that copies
falls below that; bad images lie above it.
"""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from sgbench.metrics.numerics.neighbours import Cloud, cloud, squared_distances
from sgbench.stats.estimates import Estimate, mean_estimate


class Training:
    """Features of the training images on a device."""

    def __init__(self, features: NDArray[np.floating], device: torch.device) -> None:
        self.centre = torch.from_numpy(features.mean(axis=0, dtype=np.float64).astype(np.float32)).to(device)
        self.cloud: Cloud = cloud(features, self.centre)

    @torch.inference_mode()
    def distances(self, images: NDArray[np.floating]) -> NDArray[np.float64]:
        """Distance of features (N, D) to the nearest training image's: (N,)."""
        placed = cloud(images, self.centre)
        least: list[Tensor] = [block.amin(dim=1) for _, _, block in squared_distances(placed, self.cloud)]
        return torch.cat(least).double().sqrt().cpu().numpy()


def nearest_training(generated: NDArray[np.floating], training: Training) -> Estimate:
    """Mean distance of generated features (N, D) in sample order, with its exact error."""
    return mean_estimate(training.distances(generated))
