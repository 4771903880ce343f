"""The check of pairs of an image and a prompt, for every scorer."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from sgbench.base.errors import UserError

Images = Sequence[NDArray[np.uint8]]


def check_pairs(name: str, images: Images, prompts: Sequence[str]) -> None:
    """Raises UserError unless there is one prompt for each image, all uint8 (H, W, 3) with pixels in them."""
    if len(images) != len(prompts):
        raise UserError(
            f"there are {len(images)} images and {len(prompts)} prompts",
            where=name,
            fix="give one prompt for each image",
        )
    for index, image in enumerate(images):
        if image.dtype != np.uint8 or image.ndim != 3 or image.shape[2] != 3 or image.size == 0:
            raise UserError(
                f"image number {index} is {image.dtype} {list(image.shape)}, and uint8 [height, width, 3] is expected",
                where=name,
                fix="give 8-bit RGB images",
            )
