"""Pictures that extractors and metrics are tried on: drawn scenes of shapes, real images of the smallest kind."""

from collections.abc import Sequence
from functools import lru_cache

import numpy as np
import torch
from numpy.typing import NDArray

from sgbench.metrics.references.drawn import SEED
from sgbench.zoo.shapes.scenes import render, training_example

CPU = torch.device("cpu")
# Of no image of the drawn reference.
BEYOND = 100_000


def pictures(numbers: Sequence[int], channels: int = 3, side: int = 32) -> NDArray[np.uint8]:
    """Images uint8 (n, side, side, channels), each a function of its number; larger ones are repeated pixels."""
    images = np.stack([_scene(number) for number in numbers])
    if channels == 1:
        images = images.mean(axis=3, keepdims=True).round().astype(np.uint8)
    rows = np.arange(side) * images.shape[1] // side
    return images[:, rows][:, :, rows]


@lru_cache(maxsize=1024)
def _scene(number: int) -> NDArray[np.uint8]:
    return render(training_example(SEED, BEYOND + number)[1])
