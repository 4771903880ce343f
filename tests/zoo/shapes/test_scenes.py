"""Captioned scenes: a picture is what its caption says, and training never shows what is held out."""

from __future__ import annotations

from contextlib import ExitStack

import numpy as np
import pytest
import torch
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from scipy import ndimage

from sgbench.cells.prompt_records import TASKS, check_record
from sgbench.cells.prompts import Prompt
from sgbench.metrics.judges.catalogue import DRAWN
from sgbench.metrics.judges.geneval import relations
from sgbench.metrics.judges.load import load_judge
from sgbench.zoo.shapes import captions, scenes
from sgbench.zoo.shapes.captions import (
    COLOURS,
    HELD_OUT_ABOVE,
    HELD_OUT_PAIRS,
    MAX_WORDS,
    NUMBERS,
    RELATIONS,
    SHAPES,
    SIDE,
    Caption,
    sample_caption,
    token_ids,
)
from sgbench.zoo.shapes.scenes import Scene, Thing, coverage, render, sample_scene, training_example

pytestmark = pytest.mark.slow

examples = st.builds(training_example, st.integers(0, 9), st.integers(0, 10_000_000))
tasks, seeds = st.sampled_from(TASKS), st.integers(0, 100_000)
few = settings(max_examples=60, deadline=None)


def drawn(seed: int, task: str) -> tuple[Caption, Scene]:
    """A caption of a task, held out or not, and a scene of it."""
    random = np.random.default_rng(seed)
    caption = sample_caption(random, task)
    return caption, sample_scene(random, caption)


def box(thing: Thing) -> tuple[float, float, float, float]:
    return thing.x - thing.radius, thing.y - thing.radius, thing.x + thing.radius, thing.y + thing.radius


def right(caption: Caption, scene: Scene) -> bool:
    """What the judge of the benchmark says of a render."""
    record = caption.metadata()
    with ExitStack() as stack:
        (value,) = load_judge(DRAWN, torch.device("cpu"), stack)(
            render(scene)[None], [Prompt(caption.text, caption.task, record)]
        )
    return bool(value)


def touch(scene: Scene, share: float = 0.0) -> bool:
    """Whether pixels that two things cover by more than `share` are neighbours."""
    covered = [coverage(thing.shape, thing.x, thing.y, thing.radius) > share for thing in scene.things]
    near = [ndimage.binary_dilation(found, np.ones((3, 3))) for found in covered]
    return any((one & other).any() for i, one in enumerate(near) for j, other in enumerate(covered) if i != j)


# Examples


@few
@given(st.integers(0, 9), st.integers(0, 10_000_000))
def test_an_example_depends_on_seed_and_index_alone(seed: int, index: int) -> None:
    found = training_example(seed, index)
    training_example(seed, index + 1)
    assert training_example(seed, index) == found
    assert training_example(seed, index + 1)[1] != found[1]
    assert training_example(seed + 10, index)[1] != found[1]


def test_tasks_come_in_their_shares() -> None:
    """Four standard errors of 1,000 draws at most."""
    assert sum(captions.TASK_SHARES.values()) == pytest.approx(1)
    assert set(captions.TASK_SHARES) == set(TASKS)
    found = [training_example(7, index)[0].task for index in range(1000)]
    for task, share in captions.TASK_SHARES.items():
        assert abs(found.count(task) / 1000 - share) < 4 * np.sqrt(share * (1 - share) / 1000)


# Held out


@settings(max_examples=300, deadline=None)
@given(examples)
def test_training_never_shows_a_combination_held_out(example: tuple[Caption, Scene]) -> None:
    caption, scene = example
    assert not caption.held_out
    assert not {(thing.colour, thing.shape) for thing in scene.things} & HELD_OUT_PAIRS
    assert not {(word, after) for word, after in zip(*[caption.text.split()[i:] for i in (0, 1)], strict=False)} & (
        HELD_OUT_PAIRS
    )


def test_training_never_says_a_relation_held_out_in_either_wording() -> None:
    vertical = 0
    for caption, scene in (training_example(3, index) for index in range(1500)):
        if caption.relation not in ("above", "below"):
            continue
        vertical += 1
        upper = min(scene.things, key=lambda thing: thing.y).shape
        words = caption.text.split()
        assert words[1 if "above" in words else -1] == upper
        assert upper not in HELD_OUT_ABOVE
    assert vertical > 50


@pytest.mark.parametrize("shape", SHAPES)
def test_what_is_held_out_is_what_the_vocabulary_says(shape: str) -> None:
    other = "heart" if shape != "heart" else "cross"
    assert captions.placed(shape, "above", other).held_out == (shape in HELD_OUT_ABOVE)
    assert captions.placed(other, "below", shape).held_out == (shape in HELD_OUT_ABOVE)
    assert not captions.placed(other, "above", shape).held_out
    assert not captions.placed(shape, "left of", other).held_out
    for colour in COLOURS:
        hidden = (colour, shape) in HELD_OUT_PAIRS
        assert captions.coloured(shape, colour).held_out == hidden
        seen = next(c for c in COLOURS if c != colour and (c, other) not in HELD_OUT_PAIRS)
        assert captions.coloured_pair((other, seen), (shape, colour)).held_out == hidden
    assert not any(
        c.held_out for c in (captions.single(shape), captions.pair(shape, other), captions.several(shape, "two"))
    )


# Pictures


@few
@given(seeds, tasks)
def test_a_scene_shows_what_is_named(seed: int, task: str) -> None:
    caption, scene = drawn(seed, task)
    assert [thing.shape for thing in scene.things] == [shape for shape, _ in caption.named]
    for thing, (_, colour) in zip(scene.things, caption.named, strict=True):
        assert thing.colour == colour or (colour is None and (thing.colour, thing.shape) not in HELD_OUT_PAIRS)
        least, most = scenes.RADII[len(scene.things)]
        assert least <= thing.radius <= most
    assert scenes.GROUNDS[0] <= scene.ground <= scenes.GROUNDS[1]


@settings(max_examples=150, deadline=None)
@given(seeds, tasks)
def test_boxes_lie_inside_and_keep_a_gap(seed: int, task: str) -> None:
    _, scene = drawn(seed, task)
    for number, thing in enumerate(scene.things):
        assert all(0.5 - 1e-9 <= edge <= SIDE - 0.5 + 1e-9 for edge in box(thing))
        for other in scene.things[:number]:
            offset = max(abs(thing.x - other.x), abs(thing.y - other.y))
            assert offset - thing.radius - other.radius >= scenes.GAP - 1e-9


@settings(max_examples=100, deadline=None)
@given(seeds, tasks)
def test_hardly_anything_of_a_thing_lies_outside(seed: int, task: str) -> None:
    """Tips of stars reach beyond their box, and up to 2.8 % of one over the edge of the picture."""
    _, scene = drawn(seed, task)
    found = np.array([coverage(t.shape, t.x + SIDE, t.y + SIDE, t.radius, 3 * SIDE) for t in scene.things])
    inside = found[:, SIDE : 2 * SIDE, SIDE : 2 * SIDE].sum(axis=(1, 2))
    assert (inside >= 0.97 * found.sum(axis=(1, 2))).all()


def test_things_hardly_ever_touch() -> None:
    """Less than one scene of several things in thirty, and only where a star reaches beyond its box."""
    found = [drawn(seed, "counting")[1] for seed in range(600)]
    touching = [scene for scene in found if touch(scene, 0.5)]
    assert len(touching) / len(found) < 1 / 30
    assert all(any(thing.shape == "star" for thing in scene.things) for scene in touching)


@settings(max_examples=150, deadline=None)
@given(seeds)
def test_the_relation_holds_by_genevals_rule_and_no_other_does(seed: int) -> None:
    caption, scene = drawn(seed, "position")
    first, second = map(box, scene.things)
    assert relations(first, second) == (caption.relation,)


# Captions and records


@settings(max_examples=200, deadline=None)
@given(seeds, tasks)
def test_captions_are_short_and_of_known_words(seed: int, task: str) -> None:
    caption = sample_caption(np.random.default_rng(seed), task)
    assert caption.task == task
    assert len(caption.text.split()) <= MAX_WORDS
    assert len(token_ids(caption.text)) == MAX_WORDS


def test_captions_as_a_person_would_write_them() -> None:
    assert captions.single("ring").text == "a ring"
    assert captions.pair("ring", "star").text == "a ring and a star"
    assert [captions.several("cross", number).text for number in NUMBERS] == [
        "two crosses",
        "three crosses",
        "four crosses",
    ]
    assert captions.coloured("star", "orange").text == "an orange star"
    assert captions.placed("star", "left of", "heart").text == "a star left of a heart"
    assert captions.coloured_pair(("star", "red"), ("ring", "orange")).text == "a red star and an orange ring"


def test_records_have_genevals_form() -> None:
    """The object of reference first, and one more than asked for barred when counting, as in its metadata."""
    assert captions.placed("heart", "above", "circle").metadata() == {
        "tag": "position",
        "include": [{"class": "circle", "count": 1}, {"class": "heart", "count": 1, "position": ["above", 0]}],
        "prompt": "a heart above a circle",
        "held_out": False,
    }
    assert captions.several("star", "three").metadata() == {
        "tag": "counting",
        "include": [{"class": "star", "count": 3}],
        "exclude": [{"class": "star", "count": 4}],
        "prompt": "three stars",
        "held_out": False,
    }
    assert captions.coloured("star", "red").metadata()["include"] == [{"class": "star", "count": 1, "color": "red"}]


@settings(max_examples=100, deadline=None)
@given(seeds, tasks)
def test_records_pass_the_check_that_suites_make(seed: int, task: str) -> None:
    check_record(sample_caption(np.random.default_rng(seed), task).metadata(), "shapes", SHAPES, COLOURS)


@pytest.mark.parametrize("task", TASKS)
@settings(max_examples=15, deadline=None)
@given(seed=seeds)
def test_a_render_of_a_caption_is_judged_right(task: str, seed: int) -> None:
    caption, scene = drawn(seed, task)
    assume(not touch(scene))
    assert right(caption, scene)


@settings(max_examples=15, deadline=None)
@given(seeds)
def test_a_render_of_something_else_is_judged_wrong(seed: int) -> None:
    random = np.random.default_rng(seed)
    one, two, other = (SHAPES[i] for i in random.permutation(len(SHAPES))[:3])
    red, blue = (tuple(COLOURS)[i] for i in random.permutation(len(COLOURS))[:2])
    back = dict(zip(RELATIONS, ("right of", "left of", "below", "above"), strict=True))
    said = RELATIONS[random.integers(4)]
    wrong = [
        (captions.single(one), captions.single(other)),
        (captions.pair(one, two), captions.pair(one, other)),
        (captions.several(one, "three"), captions.several(one, "two")),
        (captions.several(one, "three"), captions.several(one, "four")),
        (captions.coloured(one, red), captions.coloured(one, blue)),
        (captions.placed(one, said, two), captions.placed(one, back[said], two)),
        (captions.coloured_pair((one, red), (two, blue)), captions.coloured_pair((one, blue), (two, red))),
    ]
    for asked, shown in wrong:
        assert not right(asked, sample_scene(random, shown))
