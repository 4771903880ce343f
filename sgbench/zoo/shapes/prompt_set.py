"""The prompts that the shapes model is judged on: GenEval's tasks, half of what can be held out held out. No torch."""

from __future__ import annotations

import json
from typing import Final

import numpy as np

from sgbench.zoo.shapes.scenes import TASK_SHARES, Caption, draw_caption

SEED: Final = 20260104
# A task has no more prompts than there are different ones: 8 shapes, 24 numbers of a shape.
COUNTS: Final = {"single_object": 8, "two_object": 40, "counting": 24, "colors": 40, "position": 44, "color_attr": 44}
HELD_OUT: Final = {"colors": 8, "position": 16, "color_attr": 16}


def prompt_set() -> list[Caption]:
    """All prompts, each once, tasks mixed so that the first n images of a cell ask for all of them."""
    chosen = {task: _task(task) for task in TASK_SHARES}
    placed = [
        ((i + 0.5) / COUNTS[t], t, caption) for t, captions in chosen.items() for i, caption in enumerate(captions)
    ]
    return [caption for _, _, caption in sorted(placed, key=lambda entry: entry[:2])]


def _task(task: str) -> list[Caption]:
    """Different captions of a task, seen and held-out ones in turn as far as they go."""
    random = np.random.Generator(np.random.PCG64([SEED, list(TASK_SHARES).index(task)]))
    wanted = {True: HELD_OUT.get(task, 0), False: COUNTS[task] - HELD_OUT.get(task, 0)}
    found: dict[bool, dict[Caption, None]] = {True: {}, False: {}}
    while any(len(found[kind]) < wanted[kind] for kind in found):
        caption = draw_caption(random, task)
        if len(found[caption.held_out]) < wanted[caption.held_out]:
            found[caption.held_out][caption] = None
    parts = [((i + 0.5) / len(part), kind, c) for kind, part in found.items() for i, c in enumerate(part)]
    return [caption for _, _, caption in sorted(parts, key=lambda entry: entry[:2])]


def as_json_lines() -> str:
    """The file that ships with the package, in the form of GenEval's metadata."""
    return "".join(json.dumps(caption.metadata()) + "\n" for caption in prompt_set())
