"""Draw scenes: coloured shapes on a grey ground, edges smoothed over one pixel. No torch."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from sgbench.zoo.shapes.vocabulary import COLOURS
from sgbench.zoo.shapes.vocabulary import SIDE as SIDE

Floats = NDArray[np.float64]


class Thing(NamedTuple):
    """One shape: centre in pixels (x to the right, y down) and radius, about half its width.

    The tips of a star reach 1.3 radii, so that one may touch its neighbour or the border.
    """

    shape: str
    colour: str
    x: float
    y: float
    radius: float


class Scene(NamedTuple):
    """Things that do not touch, on a grey of this level (0 to 255)."""

    things: tuple[Thing, ...]
    ground: int


def render(scene: Scene) -> NDArray[np.uint8]:
    """The scene as an image uint8 (SIDE, SIDE, 3)."""
    image = np.full((SIDE, SIDE, 3), float(scene.ground))
    for thing in scene.things:
        alpha = coverage(thing.shape, thing.x, thing.y, thing.radius)[..., None]
        image += alpha * (np.array(COLOURS[thing.colour], dtype=float) - image)
    return np.rint(image).astype(np.uint8)


def coverage(shape: str, x: float | Floats, y: float | Floats, radius: float | Floats, side: int = SIDE) -> Floats:
    """Share of each pixel that a shape covers, (..., side, side); x, y and radius may be arrays of one shape."""
    centre_x, centre_y, size = (np.asarray(value, dtype=float)[..., None, None] for value in (x, y, radius))
    pixels = np.arange(side) + 0.5
    u = (pixels[None, :] - centre_x) / size
    v = (pixels[:, None] - centre_y) / size
    u, v = np.broadcast_arrays(u, v)
    return np.clip(0.5 - DISTANCES[shape](u, v) * size, 0.0, 1.0)


# Signed distance to the outline, negative inside, in units of the radius; exact near straight edges.
def _circle(u: Floats, v: Floats) -> Floats:
    return np.hypot(u, v) - 1.0


def _square(u: Floats, v: Floats) -> Floats:
    return np.maximum(np.abs(u), np.abs(v)) - 0.88


def _triangle(u: Floats, v: Floats) -> Floats:
    return np.maximum(v - 0.82, (1.82 * np.abs(u) - (v + 1.0)) / 2.077)


def _cross(u: Floats, v: Floats) -> Floats:
    across, along = np.abs(u), np.abs(v)
    return np.minimum(np.maximum(across - 1.0, along - 0.34), np.maximum(along - 1.0, across - 0.34))


def _ring(u: Floats, v: Floats) -> Floats:
    return np.abs(np.hypot(u, v) - 0.74) - 0.26


def _diamond(u: Floats, v: Floats) -> Floats:
    return (1.35 * np.abs(u) + np.abs(v) - 1.08) / 1.68


def _star(u: Floats, v: Floats) -> Floats:
    # Inside a pentagram at most one of its five lines has the point on the outer side.
    angles = np.pi / 2 + np.arange(5) * 2 * np.pi / 5
    sides = np.stack([np.cos(a) * u + np.sin(a) * v for a in angles])
    return np.partition(sides, 3, axis=0)[3] - 0.41


def _heart(u: Floats, v: Floats) -> Floats:
    lobes = np.hypot(np.abs(u) - 0.48, v + 0.36) - 0.52
    tip = np.maximum((0.78 * np.abs(u) + 0.62 * (v - 1.0)), -v - 0.42)
    return np.minimum(lobes, tip)


DISTANCES: Final[dict[str, Callable[[Floats, Floats], Floats]]] = {
    "circle": _circle,
    "square": _square,
    "triangle": _triangle,
    "cross": _cross,
    "ring": _ring,
    "diamond": _diamond,
    "star": _star,
    "heart": _heart,
}


def render_all(scenes: Sequence[Scene]) -> NDArray[np.uint8]:
    """Images (N, SIDE, SIDE, 3)."""
    return np.stack([render(scene) for scene in scenes])
