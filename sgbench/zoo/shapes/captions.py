"""The words about drawn shapes: vocabulary, captions in GenEval's six tasks, and the prompts to judge on. No torch.

A prompt's metadata has GenEval's form: `include` lists classes with count, colour and position, and
`position: [relation, 0]` places the entry relative to the first one (arXiv 2310.11513).
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from sgbench.base.choices import suggestion
from sgbench.base.errors import UserError

if TYPE_CHECKING:
    import numpy as np

# Width and height of the images, in pixels.
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
# Only these have an embedding: the text encoder was trained on no other words.
WORDS: Final = ("a", "an", "and", *NUMBERS, "left", "right", "of", "above", "below", *COLOURS, *SHAPES, *PLURALS)
MAX_WORDS: Final = 8
PAD: Final = 0
_IDS: Final = {word: number for number, word in enumerate(WORDS, start=PAD + 1)}

# Never shown in training: every shape in one colour, every colour on one shape.
HELD_OUT_PAIRS: Final = frozenset(zip(COLOURS, (SHAPES[(3 * i + 1) % 8] for i in range(8)), strict=True))
# Never described in training: one of these above another shape, in either wording.
HELD_OUT_ABOVE: Final = frozenset({"ring", "star"})

# Shares of the tasks in training; those with more to learn are more frequent.
TASK_SHARES: Final = {
    "single_object": 0.08,
    "two_object": 0.16,
    "counting": 0.18,
    "colors": 0.12,
    "position": 0.23,
    "color_attr": 0.23,
}
# Of the prompt set. A task has no more prompts than there are different ones: 8 shapes, 24 numbers of a shape.
SEED: Final = 20260104
COUNTS: Final = {"single_object": 8, "two_object": 40, "counting": 24, "colors": 40, "position": 44, "color_attr": 44}
HELD_OUT: Final = {"colors": 8, "position": 16, "color_attr": 16}


def token_ids(caption: str, where: str = "prompt") -> list[int]:
    """MAX_WORDS word numbers, padded; the empty caption, all padding, is the null condition.

    Raises UserError for an unknown word and for too many words.
    """
    words = caption.lower().split()
    if len(words) > MAX_WORDS:
        what = f"the caption {caption!r} has {len(words)} words, the shapes model reads {MAX_WORDS}"
        raise UserError(what, where=where, fix="shorten it")
    for word in words:
        if word not in _IDS:
            what = f"the shapes model does not know the word {word!r}{suggestion(word, WORDS)}"
            raise UserError(what, where=where, fix=f"write captions with: {' '.join(WORDS)}")
    return [_IDS[word] for word in words] + [PAD] * (MAX_WORDS - len(words))


class Caption(NamedTuple):
    """A caption, its task, the objects it names as (shape, colour or None), and their relation."""

    text: str
    task: str
    named: tuple[tuple[str, str | None], ...]
    relation: str | None = None

    @property
    def held_out(self) -> bool:
        """Whether the combination is held out of training."""
        if HELD_OUT_PAIRS & {(colour, shape) for shape, colour in self.named}:
            return True
        upper = {"above": 0, "below": 1}.get(self.relation or "")
        return upper is not None and self.named[upper][0] in HELD_OUT_ABOVE

    def metadata(self) -> dict[str, Any]:
        """GenEval's record of the prompt, with `held_out` added."""
        record: dict[str, Any] = {"tag": self.task}
        if self.task == "counting":
            shape, count = self.named[0][0], len(self.named)
            record["include"] = [{"class": shape, "count": count}]
            record["exclude"] = [{"class": shape, "count": count + 1}]
        else:
            record["include"] = [
                {"class": shape, "count": 1} | ({} if colour is None else {"color": colour})
                for shape, colour in self.named
            ]
        if self.relation is not None:
            # GenEval lists the object of reference first.
            record["include"].reverse()
            record["include"][1]["position"] = [self.relation, 0]
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


def sample_caption(random: np.random.Generator, task: str) -> Caption:
    """A caption of one task, all combinations equally likely, including those held out of training."""
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


def prompt_set() -> list[Caption]:
    """The packaged prompts, each once; tasks are mixed so that the first n images of a cell cover all of them."""
    by_task = {task: _task_prompts(task) for task in TASK_SHARES}
    keyed = [((i + 0.5) / COUNTS[task], task, c) for task, captions in by_task.items() for i, c in enumerate(captions)]
    return [caption for _, _, caption in sorted(keyed, key=lambda entry: entry[:2])]


def _task_prompts(task: str) -> list[Caption]:
    """Different captions of a task, trained and held-out combinations alternating as far as they go."""
    import numpy as np

    random = np.random.Generator(np.random.PCG64([SEED, list(TASK_SHARES).index(task)]))
    wanted = {True: HELD_OUT.get(task, 0), False: COUNTS[task] - HELD_OUT.get(task, 0)}
    found: dict[bool, dict[Caption, None]] = {True: {}, False: {}}
    while any(len(found[kind]) < wanted[kind] for kind in found):
        caption = sample_caption(random, task)
        if len(found[caption.held_out]) < wanted[caption.held_out]:
            found[caption.held_out][caption] = None
    keyed = [((i + 0.5) / len(part), kind, c) for kind, part in found.items() for i, c in enumerate(part)]
    return [caption for _, _, caption in sorted(keyed, key=lambda entry: entry[:2])]


def prompts_jsonl() -> str:
    """The packaged prompt file: one record of GenEval's metadata per line."""
    return "".join(json.dumps(caption.metadata()) + "\n" for caption in prompt_set())
