"""Scenes of drawn shapes: placed after a caption and rendered, each a pure function of (seed, index). No torch."""

from collections.abc import Callable
from typing import Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from sgbench.zoo.shapes.captions import COLOURS, HELD_OUT_PAIRS, SIDE, TASK_SHARES, Caption, sample_caption

Floats = NDArray[np.float64]
# Range of the grey level of the background.
GROUNDS: Final = (100, 156)
# Half widths in pixels by number of objects.
RADII: Final = {1: (5.8, 8.0), 2: (5.5, 7.2), 3: (5.2, 6.4), 4: (5.0, 6.2)}
GAP: Final = 1.5
# Random placements per attempt; the first that fits is taken.
TRIES: Final = 64


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


def _cross(u: Floats, v: Floats) -> Floats:
    across, along = np.abs(u), np.abs(v)
    return np.minimum(np.maximum(across - 1.0, along - 0.34), np.maximum(along - 1.0, across - 0.34))


def _star(u: Floats, v: Floats) -> Floats:
    # Inside a pentagram at most one of its five lines has the point on the outer side.
    angles = np.pi / 2 + np.arange(5) * 2 * np.pi / 5
    sides = np.stack([np.cos(a) * u + np.sin(a) * v for a in angles])
    return np.partition(sides, 3, axis=0)[3] - 0.41


def _heart(u: Floats, v: Floats) -> Floats:
    lobes = np.hypot(np.abs(u) - 0.48, v + 0.36) - 0.52
    tip = np.maximum((0.78 * np.abs(u) + 0.62 * (v - 1.0)), -v - 0.42)
    return np.minimum(lobes, tip)


# Signed distance to the outline, negative inside, in units of the radius; exact near straight edges.
DISTANCES: Final[dict[str, Callable[[Floats, Floats], Floats]]] = {
    "circle": lambda u, v: np.hypot(u, v) - 1.0,
    "square": lambda u, v: np.maximum(np.abs(u), np.abs(v)) - 0.88,
    "triangle": lambda u, v: np.maximum(v - 0.82, (1.82 * np.abs(u) - (v + 1.0)) / 2.077),
    "cross": _cross,
    "ring": lambda u, v: np.abs(np.hypot(u, v) - 0.74) - 0.26,
    "diamond": lambda u, v: (1.35 * np.abs(u) + np.abs(v) - 1.08) / 1.68,
    "star": _star,
    "heart": _heart,
}


def training_example(seed: int, index: int) -> tuple[Caption, Scene]:
    """Example number `index` of an endless training set without held-out combinations."""
    random = np.random.Generator(np.random.PCG64([seed, index]))
    task = str(random.choice(list(TASK_SHARES), p=list(TASK_SHARES.values())))
    caption = sample_caption(random, task)
    while caption.held_out:
        caption = sample_caption(random, task)
    return caption, sample_scene(random, caption)


def sample_scene(random: np.random.Generator, caption: Caption) -> Scene:
    """A scene that fits the caption; colours that it does not name never form a held-out pair."""
    colours = [colour if colour is not None else _free_colour(random, shape) for shape, colour in caption.named]
    places = _places(random, len(caption.named), caption.relation)
    things = tuple(
        Thing(shape, colour, *place) for (shape, _), colour, place in zip(caption.named, colours, places, strict=True)
    )
    return Scene(things, int(random.integers(GROUNDS[0], GROUNDS[1] + 1)))


def _free_colour(random: np.random.Generator, shape: str) -> str:
    allowed = [colour for colour in COLOURS if (colour, shape) not in HELD_OUT_PAIRS]
    return allowed[random.integers(len(allowed))]


def _places(random: np.random.Generator, count: int, relation: str | None) -> list[tuple[float, float, float]]:
    """(x, y, radius) of things whose boxes are GAP pixels apart and inside the image, in random order."""
    least, most = RADII[count]
    while True:
        radii = random.uniform(least, most, (TRIES, count))
        centres = random.uniform(radii + 0.5, SIDE - 0.5 - radii, (2, TRIES, count))
        fits = _apart(centres, radii)
        if relation is not None:
            fits &= _related(centres, radii, relation)
        if fits.any():
            chosen = int(fits.argmax())
            return [(float(x), float(y), float(r)) for x, y, r in zip(*centres[:, chosen], radii[chosen], strict=True)]


def _apart(centres: Floats, radii: Floats) -> NDArray[np.bool_]:
    """Which placements (tries,) keep all boxes apart; centres (2, tries, things), radii (tries, things)."""
    distance = np.abs(centres[..., :, None] - centres[..., None, :]).max(axis=0)
    needed = radii[..., :, None] + radii[..., None, :] + GAP
    return ((distance >= needed) | np.eye(radii.shape[-1], dtype=bool)).all(axis=(-1, -2))


def _related(centres: Floats, radii: Floats, relation: str) -> NDArray[np.bool_]:
    """Which placements (tries,) put thing 0 in this relation to thing 1, and in no other."""
    across, down = centres[..., 0] - centres[..., 1]
    along, aside = (across, down) if relation in ("left of", "right of") else (down, across)
    sign = -1 if relation in ("left of", "above") else 1
    return (sign * along >= radii.sum(axis=-1) + GAP) & (np.abs(aside) <= 0.5 * np.abs(along))
