"""What every scorer asks of its pairs of an image and a prompt, and of its own scores."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from sgbench.base.errors import NoScoreError, UserError

Images = Sequence[NDArray[np.uint8]]


def check_pairs(name: str, images: Images, prompts: Sequence[str]) -> None:
    """Raises UserError unless there is one prompt for each image."""
    if len(images) != len(prompts):
        raise UserError(
            f"there are {len(images)} images and {len(prompts)} prompts",
            where=name,
            fix="give one prompt for each image",
        )


def checked(name: str, image: NDArray[np.uint8], index: int) -> NDArray[np.uint8]:
    """The image. Raises UserError naming its number unless it is uint8 (H, W, 3) with pixels in it."""
    if image.dtype != np.uint8 or image.ndim != 3 or image.shape[2] != 3 or image.size == 0:
        raise UserError(
            f"image number {index} is {image.dtype} {list(image.shape)}, and uint8 [height, width, 3] is wanted",
            where=name,
            fix="give 8-bit RGB images",
        )
    return image


def finite(name: str, scores: NDArray[np.float64]) -> NDArray[np.float64]:
    """The scores (n,). Raises NoScoreError naming the first that is not finite."""
    bad = ~np.isfinite(scores)
    if bad.any():
        raise NoScoreError(
            f"{int(bad.sum())} scores are not finite (the first is of image number {int(bad.argmax())})",
            where=name,
            fix="compare the digest of the weights with their source's",
        )
    return scores
