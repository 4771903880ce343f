"""Real images that this project draws: scenes of shapes, the domain of the model `shapes`. No torch."""

import hashlib
from collections.abc import Iterator

import numpy as np

from sgbench.images.files import Images
from sgbench.images.sets import ImageSet
from sgbench.zoo.shapes.scenes import render, training_example

# Of no training run and of no judge: the scenes are drawn as training's are, and none of them was seen.
SEED, COUNT, PART = 20260107, 2000, 500
# To be raised when the scenes that are drawn change.
VERSION = 1


class DrawnShapes(ImageSet):
    """2,000 scenes, each a pure function of its number."""

    def __init__(self) -> None:
        self.where, self.count = "drawn shapes", COUNT
        text = f"sgbench scenes of shapes, version {VERSION}: seed {SEED}, {COUNT} scenes"
        self.sha256 = hashlib.sha256(text.encode()).hexdigest()
        """Of the recipe, so that a protocol costs no drawing."""

    def parts(self) -> Iterator[Images]:
        """The images uint8 (n, 32, 32, 3)."""
        for start in range(0, COUNT, PART):
            scenes = (training_example(SEED, index)[1] for index in range(start, start + PART))
            yield np.stack([render(scene) for scene in scenes])
