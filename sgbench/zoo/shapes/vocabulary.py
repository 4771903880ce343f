"""What scenes of drawn shapes are made of, and the words of their captions. No torch."""

from __future__ import annotations

from typing import Final

from sgbench.base.choices import suggestion
from sgbench.base.errors import UserError

# Of the images, in pixels.
SIDE: Final = 32
SHAPES: Final = ("circle", "square", "triangle", "cross", "ring", "diamond", "star", "heart")
PLURALS: Final = ("circles", "squares", "triangles", "crosses", "rings", "diamonds", "stars", "hearts")
# sRGB; backgrounds are greys between 100 and 156, far from all of them.
COLOURS: Final[dict[str, tuple[int, int, int]]] = {
    "red": (220, 40, 40),
    "orange": (245, 140, 30),
    "yellow": (240, 220, 50),
    "green": (40, 170, 60),
    "blue": (50, 80, 230),
    "purple": (150, 50, 190),
    "white": (250, 250, 250),
    "black": (15, 15, 15),
}
NUMBERS: Final[dict[str, int]] = {"two": 2, "three": 3, "four": 4}
RELATIONS: Final = ("left of", "right of", "above", "below")
# An unknown word has no place: the text encoder was never shown one.
WORDS: Final = ("a", "an", "and", *NUMBERS, "left", "right", "of", "above", "below", *COLOURS, *SHAPES, *PLURALS)
MAX_WORDS: Final = 8
PAD: Final = 0

# Never drawn in training: every shape in one colour, every colour on one shape.
HELD_OUT_PAIRS: Final = frozenset(zip(COLOURS, (SHAPES[(3 * i + 1) % 8] for i in range(8)), strict=True))
# Never said in training: one of these above another shape, in either wording.
HELD_OUT_ABOVE: Final = frozenset({"ring", "star"})

_IDS: Final = {word: number for number, word in enumerate(WORDS, start=PAD + 1)}


def token_ids(caption: str, where: str = "prompt") -> list[int]:
    """MAX_WORDS word numbers, padded; the empty caption, all padding, is the null condition.

    Raises UserError for an unknown word and for too many words.
    """
    words = caption.lower().split()
    if len(words) > MAX_WORDS:
        raise UserError(
            f"the caption {caption!r} has {len(words)} words, the shapes model reads {MAX_WORDS}",
            where=where,
            fix="shorten it",
        )
    for word in words:
        if word not in _IDS:
            raise UserError(
                f"the shapes model does not know the word {word!r}{suggestion(word, WORDS)}",
                where=where,
                fix=f"write captions with: {' '.join(WORDS)}",
            )
    return [_IDS[word] for word in words] + [PAD] * (MAX_WORDS - len(words))
