"""Captioned scenes in GenEval's six tasks, each a pure function of (seed, index). No torch.

A prompt's metadata has GenEval's form: `include` lists classes with count, colour and position, and
`position: [relation, 0]` places the entry relative to the first one (arXiv 2310.11513).
"""

from __future__ import annotations

from typing import Any, Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from sgbench.zoo.shapes.render import SIDE, Floats, Scene, Thing
from sgbench.zoo.shapes.vocabulary import (
    COLOURS,
    HELD_OUT_ABOVE,
    HELD_OUT_PAIRS,
    NUMBERS,
    PLURALS,
    RELATIONS,
    SHAPES,
)

# The tasks with more to learn are shown more often.
TASK_SHARES: Final = {
    "single_object": 0.08,
    "two_object": 0.16,
    "counting": 0.18,
    "colors": 0.12,
    "position": 0.23,
    "color_attr": 0.23,
}
GROUNDS: Final = (100, 156)
# Half widths in pixels; three and four objects leave room for smaller ones only.
RADII: Final = {1: (5.8, 8.0), 2: (5.5, 7.2), 3: (5.2, 6.4), 4: (5.0, 6.2)}
GAP: Final = 1.5
# Placements drawn at once, of which the first that fits is taken.
TRIES: Final = 64


class Caption(NamedTuple):
    """A caption, its task, the objects it names as (shape, colour or None), and how they lie."""

    text: str
    task: str
    named: tuple[tuple[str, str | None], ...]
    relation: str | None = None

    @property
    def held_out(self) -> bool:
        """Whether training never showed this combination."""
        pairs = {(colour, shape) for shape, colour in self.named}
        return bool(pairs & HELD_OUT_PAIRS) or self._relation_held_out

    @property
    def _relation_held_out(self) -> bool:
        if self.relation not in ("above", "below"):
            return False
        upper = self.named[0 if self.relation == "above" else 1][0]
        return upper in HELD_OUT_ABOVE

    def metadata(self) -> dict[str, Any]:
        """GenEval's record of the prompt, with `held_out` added."""
        if self.task == "counting":
            shape, count = self.named[0][0], len(self.named)
            include: list[dict[str, Any]] = [{"class": shape, "count": count}]
            exclude = [{"class": shape, "count": count + 1}]
            return self._record(include, exclude)
        include = [
            {"class": shape, "count": 1} | ({} if colour is None else {"color": colour}) for shape, colour in self.named
        ]
        if self.relation is not None:
            # GenEval lists the object of reference first.
            include.reverse()
            include[1]["position"] = [self.relation, 0]
        return self._record(include, None)

    def _record(self, include: list[dict[str, Any]], exclude: list[dict[str, Any]] | None) -> dict[str, Any]:
        record: dict[str, Any] = {"tag": self.task, "include": include}
        if exclude is not None:
            record["exclude"] = exclude
        return record | {"prompt": self.text, "held_out": self.held_out}


def single(shape: str) -> Caption:
    """A shape of any colour."""
    return Caption(f"a {shape}", "single_object", ((shape, None),))


def pair(first: str, second: str) -> Caption:
    """Two different shapes of any colours."""
    return Caption(f"a {first} and a {second}", "two_object", ((first, None), (second, None)))


def several(shape: str, number: str) -> Caption:
    """Two to four of one shape, of any colours."""
    return Caption(f"{number} {PLURALS[SHAPES.index(shape)]}", "counting", ((shape, None),) * NUMBERS[number])


def coloured(shape: str, colour: str) -> Caption:
    """A shape of one colour."""
    return Caption(f"{_article(colour)} {colour} {shape}", "colors", ((shape, colour),))


def placed(first: str, relation: str, second: str) -> Caption:
    """Two different shapes, the first left of, right of, above or below the second."""
    return Caption(f"a {first} {relation} a {second}", "position", ((first, None), (second, None)), relation)


def coloured_pair(first: tuple[str, str], second: tuple[str, str]) -> Caption:
    """Two different shapes (shape, colour) of different colours."""
    one, other = (f"{_article(colour)} {colour} {shape}" for shape, colour in (first, second))
    return Caption(f"{one} and {other}", "color_attr", (first, second))


def _article(word: str) -> str:
    return "an" if word[0] in "aeiou" else "a"


def draw_caption(random: np.random.Generator, task: str) -> Caption:
    """A caption of one task, all combinations equally likely, those held out included."""
    first, second = (SHAPES[i] for i in random.choice(len(SHAPES), 2, replace=False))
    one, other = (tuple(COLOURS)[i] for i in random.choice(len(COLOURS), 2, replace=False))
    if task == "single_object":
        return single(first)
    if task == "two_object":
        return pair(first, second)
    if task == "counting":
        return several(first, tuple(NUMBERS)[random.integers(len(NUMBERS))])
    if task == "colors":
        return coloured(first, one)
    if task == "position":
        return placed(first, RELATIONS[random.integers(len(RELATIONS))], second)
    return coloured_pair((first, one), (second, other))


def training_example(seed: int, index: int) -> tuple[Caption, Scene]:
    """Example number `index` of an endless training set without the combinations held out."""
    random = np.random.Generator(np.random.PCG64([seed, index]))
    task = str(random.choice(list(TASK_SHARES), p=list(TASK_SHARES.values())))
    caption = draw_caption(random, task)
    while caption.held_out:
        caption = draw_caption(random, task)
    return caption, draw_scene(random, caption)


def draw_scene(random: np.random.Generator, caption: Caption) -> Scene:
    """A scene that the caption describes; colours it leaves open never make a pair held out."""
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
    """(x, y, radius) of things whose boxes keep GAP pixels apart and inside the picture, in random order."""
    least, most = RADII[count]
    while True:
        radii = random.uniform(least, most, (TRIES, count))
        centres = random.uniform(radii + 0.5, SIDE - 0.5 - radii, (2, TRIES, count))
        fits = _apart(centres, radii)
        if relation is not None:
            fits &= _stand(centres, radii, relation)
        if fits.any():
            chosen = int(fits.argmax())
            return [(float(x), float(y), float(r)) for x, y, r in zip(*centres[:, chosen], radii[chosen], strict=True)]


def _apart(centres: Floats, radii: Floats) -> NDArray[np.bool_]:
    """Which placements (tries,) keep all boxes apart; centres (2, tries, things), radii (tries, things)."""
    distance = np.abs(centres[..., :, None] - centres[..., None, :]).max(axis=0)
    needed = radii[..., :, None] + radii[..., None, :] + GAP
    return ((distance >= needed) | np.eye(radii.shape[-1], dtype=bool)).all(axis=(-1, -2))


def _stand(centres: Floats, radii: Floats, relation: str) -> NDArray[np.bool_]:
    """In which placements thing 0 stands in this relation to thing 1, and in no other."""
    across, down = centres[..., 0] - centres[..., 1]
    along, beside = (across, down) if relation in ("left of", "right of") else (down, across)
    sign = -1 if relation in ("left of", "above") else 1
    return (sign * along >= radii.sum(axis=-1) + GAP) & (np.abs(beside) <= 0.5 * np.abs(along))
