"""The detector of drawn shapes: which shape, in which colour, where. No network, no torch.

Pixels go to the nearest colour of the palette or to the ground; each connected patch of a colour is compared with every
shape at the place and size given by its own centre of mass and area. The score of a detection is the intersection
over union, in coverages, with the best shape.
"""

from functools import cache
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from sgbench.base.errors import UserError
from sgbench.metrics.judges.catalogue import DRAWN_RULES, drawn_digest
from sgbench.metrics.judges.geneval import Detection
from sgbench.zoo.shapes.captions import COLOURS, SHAPES, SIDE
from sgbench.zoo.shapes.scenes import Floats, Thing, coverage, render, training_example

# A smaller patch is the rim of something else: the smallest shape covers three times as many pixels.
LEAST_PIXELS = 12
# No training recipe has this seed.
SEED = 1
IMAGES = 2_000
# Pixels by which a centre may be off.
NEAR = 1.0
_NAMES = tuple(COLOURS)
_PALETTE = np.array([COLOURS[name] for name in _NAMES], dtype=np.float64)
_ROWS, _COLUMNS = (axis + 0.5 for axis in np.indices((SIDE, SIDE), dtype=np.float64))


def detect(image: NDArray[np.uint8]) -> list[tuple[Detection, str]]:
    """Shapes in an image (SIDE, SIDE, 3), each with its colour, best score first.

    Raises UserError for an image of another size.
    """
    if image.shape != (SIDE, SIDE, 3):
        raise UserError(
            f"an image has {' x '.join(map(str, image.shape))} values, drawn shapes are {SIDE} x {SIDE} x 3",
            where="composition",
            fix="score images of a shapes model, or leave the metric out",
        )
    pixels = image.astype(np.float64)
    ground = np.median(pixels.reshape(-1, 3), axis=0)
    # The ground comes first: where it has a colour of the palette, pixels belong to the ground.
    nearest = np.square(pixels[:, :, None] - np.vstack([ground, _PALETTE])).sum(axis=-1).argmin(axis=-1) - 1
    found = []
    for number, colour in enumerate(_NAMES):
        patches, count = ndimage.label(nearest == number)
        for patch in range(1, count + 1):
            inside = patches == patch
            if inside.sum() >= LEAST_PIXELS:
                found.append((_named(pixels, ground, number, inside), colour))
    return sorted(found, key=lambda pair: -pair[0].score)


def _named(pixels: Floats, ground: Floats, colour: int, inside: NDArray[np.bool_]) -> Detection:
    """The shape that fits a patch best."""
    step = _PALETTE[colour] - ground
    # One pixel around the patch holds the smoothed edge.
    rim = ndimage.binary_dilation(inside, np.ones((3, 3), dtype=bool))
    share = np.clip((pixels - ground) @ step / (step @ step), 0, 1) * rim
    area = float(share.sum())
    x, y = float((share * _COLUMNS).sum() / area), float((share * _ROWS).sum() / area)
    return max((_fitted(share, shape, area, x, y) for shape in SHAPES), key=lambda found: found.score)


def _fitted(share: Floats, shape: str, area: float, x: float, y: float) -> Detection:
    """A shape of the same area and centre of mass, in its bounding square."""
    unit_area, mass_x, mass_y = moments(shape)
    radius = float(np.sqrt(area / unit_area))
    x, y = x - mass_x * radius, y - mass_y * radius
    drawn = coverage(shape, x, y, radius)
    score = float(np.minimum(share, drawn).sum() / np.maximum(share, drawn).sum())
    return Detection(shape, (x - radius, y - radius, x + radius, y + radius), score, None)


@cache
def moments(shape: str) -> tuple[float, float, float]:
    """Of a shape of radius one, on a large rendering: area, and centre of mass (x, y) from its centre."""
    side, radius = 512, 200.0
    drawn: NDArray[Any] = coverage(shape, side / 2, side / 2, radius, side)
    rows, columns = (axis + 0.5 - side / 2 for axis in np.indices((side, side)))
    area = drawn.sum()
    x, y = (float((drawn * axis).sum() / area / radius) for axis in (columns, rows))
    return float(area / radius**2), x, y


def measure(images: int = IMAGES) -> dict[str, Any]:
    """How often objects are found with their shape, colour and place, on renders that no training set holds."""
    objects = right = false = 0
    for index in range(images):
        _, scene = training_example(SEED, index)
        left = [(found, colour) for found, colour in detect(render(scene)) if found.score > DRAWN_RULES.threshold]
        for thing in scene.things:
            match = next((pair for pair in left if _same(thing, *pair)), None)
            objects += 1
            if match is not None:
                right += 1
                left.remove(match)
        false += len(left)
    return {
        "name": "drawn-detector",
        "sha256": drawn_digest(),
        "images": images,
        "objects": objects,
        "accuracy": right / objects,
        "false_detections": false,
    }


def _same(thing: Thing, found: Detection, colour: str) -> bool:
    x, y = (found.box[0] + found.box[2]) / 2, (found.box[1] + found.box[3]) / 2
    return (found.name, colour) == (thing.shape, thing.colour) and max(abs(x - thing.x), abs(y - thing.y)) <= NEAR
