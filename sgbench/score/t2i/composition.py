"""Composition: is every image what its prompt says? Six tasks, and their plain mean as the overall score (GenEval)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from sgbench.errors import NoScoreError
from sgbench.stats.jackknife import Estimate
from sgbench.stats.stratified import stratified_mean
from sgbench.suite.prompts import Prompt


class TextScore(NamedTuple):
    """A score of images of prompts: overall, and for each group of prompts with its number of images."""

    overall: Estimate
    groups: dict[str, tuple[Estimate, int]]


def composition(values: NDArray[Any], asked: NDArray[np.integer], prompts: Sequence[Prompt], where: str) -> TextScore:
    """Scores of images from their values (N,), 0 or 1 for compositions; `asked` (N,) numbers each one's prompt.

    Groups are the tasks and, where prompts say so, combinations seen in training and held out of it, each averaged
    over tasks, too. Raises NoScoreError where a task has fewer than two prompts: it has no error.
    """
    tasks = list(dict.fromkeys(prompt.group for prompt in prompts))
    strata = np.array([tasks.index(prompts[a].group) for a in asked])
    for number, task in enumerate(tasks):
        if len(np.unique(asked[strata == number])) < 2:
            raise NoScoreError(
                f"the images show fewer than two prompts of {task or 'the set'}",
                where=where,
                fix="draw more images, so that every task is asked",
            )
    parts = {task: strata == number for number, task in enumerate(tasks)} if len(tasks) > 1 else {}
    held_out = [prompt.record.get("held_out") for prompt in prompts]
    if None not in held_out:
        hidden = np.array([bool(held_out[a]) for a in asked])
        parts |= {"seen": ~hidden, "held_out": hidden}
    groups = {name: _part(values, strata, asked, inside) for name, inside in parts.items()}
    return TextScore(stratified_mean(values, strata, asked), {name: g for name, g in groups.items() if g is not None})


def _part(
    values: NDArray[Any], strata: NDArray[Any], asked: NDArray[Any], inside: NDArray[np.bool_]
) -> tuple[Estimate, int] | None:
    """The score of some of the images, over the tasks of which at least two prompts are among them."""
    enough = [s for s in np.unique(strata[inside]) if len(np.unique(asked[inside & (strata == s)])) > 1]
    inside = inside & np.isin(strata, enough)
    if not enough:
        return None
    return stratified_mean(values[inside], strata[inside], asked[inside]), int(inside.sum())
