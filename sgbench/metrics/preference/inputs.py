"""How an image becomes the input of a CLIP tower. Two published ways, and scores depend on which."""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray
from open_clip import OPENAI_DATASET_MEAN, OPENAI_DATASET_STD
from PIL import Image
from torch import Tensor
from torch.nn import functional as F


def longest_side(image: NDArray[np.uint8], side: int) -> Tensor:
    """uint8 (H, W, 3) to float32 (3, side, side): the whole image in a black square, as HPSv2 sees it.

    Resized as a tensor and never rounded to 8 bits; values may leave [0, 1] by bicubic overshoot, as they do there.
    hpsv2's own function pads nothing where the longest side is `side` already, and its network then refuses the
    image unless it is square; here it is padded like any other.
    """
    pixels = torch.from_numpy(image.copy()).permute(2, 0, 1).float() / 255
    scale = side / max(pixels.shape[1:])
    if scale != 1:
        height, width = (max(round(length * scale), 1) for length in pixels.shape[1:])
        pixels = F.interpolate(pixels[None], size=(height, width), mode="bicubic", antialias=True)[0]
    above, left = (side - pixels.shape[1]) // 2, (side - pixels.shape[2]) // 2
    below, right = side - pixels.shape[1] - above, side - pixels.shape[2] - left
    return _normalised(F.pad(pixels, (left, right, above, below)))


def shortest_side(image: NDArray[np.uint8], side: int) -> Tensor:
    """uint8 (H, W, 3) to float32 (3, side, side): the middle of the image, as CLIP sees it.

    PIL's bicubic, rounded to 8 bits. Where the crop cannot be centred it is the upper left of the two candidates, as
    in transformers; torchvision sometimes takes the other one.
    """
    height, width = image.shape[:2]
    size = (side * width // min(height, width), side * height // min(height, width))
    resized = Image.fromarray(image).resize(size, Image.Resampling.BICUBIC)
    left, above = (size[0] - side) // 2, (size[1] - side) // 2
    cropped = resized.crop((left, above, left + side, above + side))
    return _normalised(torch.from_numpy(np.array(cropped)).permute(2, 0, 1).float() / 255)


def _normalised(pixels: Tensor) -> Tensor:
    mean, deviation = (torch.tensor(x)[:, None, None] for x in (OPENAI_DATASET_MEAN, OPENAI_DATASET_STD))
    return (pixels - mean) / deviation
