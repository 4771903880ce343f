"""Prompt-based scores: composition (mean of the tasks, as GenEval's overall score), and human preference."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from sgbench.base.errors import NoScoreError
from sgbench.cells.prompts import Prompt
from sgbench.images.sets import ImageSetInfo
from sgbench.metrics.judges.catalogue import FEWEST
from sgbench.metrics.metric import Fields, fields
from sgbench.stats.estimates import Estimate, stratified_mean


class TextScore(NamedTuple):
    """A prompt-based score: overall, and for each group of prompts with its number of images."""

    overall: Estimate
    groups: dict[str, tuple[Estimate, int]]


def composition(values: NDArray[Any], asked: NDArray[np.integer], prompts: Sequence[Prompt], where: str) -> TextScore:
    """Scores of images that were right (1) or wrong (0); values (N,), and asked (N,), the index of each image's prompt.

    Groups are the tasks and, where prompts say what training left out, `seen` and `held_out`, over the tasks that have
    both, so that they differ in nothing else. Raises NoScoreError where a task has fewer than two prompts.
    """
    tasks, strata = _groups(asked, prompts)
    for number, task in enumerate(tasks):
        if len(np.unique(asked[strata == number])) < FEWEST:
            raise NoScoreError(
                f"the images show fewer than {FEWEST} prompts of {task or 'the set'}",
                where=where,
                fix="generate more images, so that every task has prompts",
            )
    parts = _parts(tasks, strata)
    hidden = [prompt.record.get("held_out") for prompt in prompts]
    if None not in hidden:
        held_out = np.array([bool(hidden[a]) for a in asked])
        both = [s for s in range(len(tasks)) if all(_many(asked[(strata == s) & k]) for k in (held_out, ~held_out))]
        parts |= {"seen": ~held_out & np.isin(strata, both), "held_out": held_out & np.isin(strata, both)}
    return TextScore(stratified_mean(values, strata, asked), _scored(values, strata, asked, parts))


def preference(values: NDArray[Any], asked: NDArray[np.integer], prompts: Sequence[Prompt], where: str) -> TextScore:
    """Mean of values (N,) over all images, and over those of each group of prompts (a style, a category).

    Where groups are equally large, as HPSv2's are, the mean is also that of their means. Raises NoScoreError for images
    of fewer than two prompts; a group of one has no score of its own.
    """
    groups, strata = _groups(asked, prompts)
    one = np.zeros_like(strata)
    if not _many(asked):
        raise NoScoreError("the images show only one prompt", where=where, fix="generate images for more prompts")
    return TextScore(stratified_mean(values, one, asked), _scored(values, one, asked, _parts(groups, strata)))


def _groups(asked: NDArray[np.integer], prompts: Sequence[Prompt]) -> tuple[list[str], NDArray[np.integer]]:
    """The groups of a set, and the number of each image's."""
    names = list(dict.fromkeys(prompt.group for prompt in prompts))
    return names, np.array([names.index(prompts[a].group) for a in asked])


def _parts(names: Sequence[str], strata: NDArray[np.integer]) -> dict[str, NDArray[np.bool_]]:
    return {name: strata == number for number, name in enumerate(names)} if len(names) > 1 else {}


def _many(asked: NDArray[np.integer]) -> bool:
    """Whether images show enough prompts for a standard error."""
    return len(np.unique(asked)) >= FEWEST


def _scored(
    values: NDArray[Any],
    strata: NDArray[np.integer],
    asked: NDArray[np.integer],
    parts: Mapping[str, NDArray[np.bool_]],
) -> dict[str, tuple[Estimate, int]]:
    """The score of every part that has one."""
    return {
        name: (stratified_mean(values[inside], strata[inside], asked[inside]), int(inside.sum()))
        for name, inside in parts.items()
        if _many(asked[inside])
    }


def text_fields(
    score: Callable[[NDArray[Any], NDArray[np.integer], Sequence[Prompt], str], TextScore],
    values: NDArray[Any],
    info: ImageSetInfo,
) -> Fields:
    """A prompt-based score from the values (N,) of a judge, as it stands in scores.json."""
    assert info.prompts is not None
    assert info.labels is not None
    found = score(values, info.labels, info.prompts.prompts, info.where)
    groups = {
        name: {"value": estimate.value, "standard_error": estimate.standard_error, "images": count}
        for name, (estimate, count) in found.groups.items()
    }
    return {**fields(found.overall, info.where), "groups": groups}
