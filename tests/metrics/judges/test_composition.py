"""Scores by task and over all: the plain mean of six, seen and held-out combinations apart; preference by style."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sgbench.base.errors import NoScoreError
from sgbench.cells.prompt_records import TASKS
from sgbench.cells.prompts import Prompt, load_prompts
from sgbench.metrics.numerics.prompts import TextScore, composition, preference
from sgbench.stats.estimates import mean_estimate

# GenEval's 553 prompts are as uneven as this (arXiv 2310.11513, table 1).
COUNTS = {"single_object": 80, "two_object": 99, "counting": 80, "colors": 94, "position": 100, "color_attr": 100}
GENEVAL = [Prompt(f"{task} {i}", task, {"tag": task}) for task, count in COUNTS.items() for i in range(count)]
SHAPES = load_prompts("shapes").prompts


def prompts(*kinds: tuple[str, bool | None]) -> list[Prompt]:
    """One prompt for each group and, where it is said, whether it was held out."""
    records: list[dict[str, Any]] = [{} if hidden is None else {"held_out": hidden} for _, hidden in kinds]
    return [Prompt(f"prompt {i}", group, records[i]) for i, (group, _) in enumerate(kinds)]


def score(values: list[float], asked: list[int], given_prompts: list[Prompt]) -> TextScore:
    return composition(np.array(values, dtype=float), np.array(asked), given_prompts, "tiny")


def too_few(asked: list[int], given_prompts: list[Prompt]) -> str:
    with pytest.raises(NoScoreError) as caught:
        score([1.0] * len(asked), asked, given_prompts)
    text = str(caught.value)
    assert "\n" not in text
    return text


def test_the_overall_score_is_the_unweighted_mean_of_six_tasks() -> None:
    asked = np.tile(np.arange(len(GENEVAL)), 4)
    values = np.random.default_rng(0).random(len(asked)) < np.linspace(0.1, 0.9, len(GENEVAL))[asked]
    found = composition(values, asked, GENEVAL, "geneval")
    assert list(found.groups) == list(TASKS)
    tasks = np.array([prompt.group for prompt in GENEVAL])[asked]
    for task, (estimate, count) in found.groups.items():
        inside = tasks == task
        assert count == 4 * COUNTS[task]
        plain = mean_estimate(values[inside], asked[inside])
        assert (estimate.value, estimate.standard_error) == pytest.approx((plain.value, plain.standard_error))
    parts = [estimate for estimate, _ in found.groups.values()]
    assert found.overall.value == pytest.approx(sum(p.value for p in parts) / 6)
    assert found.overall.value != pytest.approx(values.mean(), abs=1e-3)
    assert found.overall.standard_error == pytest.approx(math.sqrt(sum(p.standard_error**2 for p in parts)) / 6)


@settings(max_examples=20, deadline=None)
@given(st.integers(0, 1000), st.integers(40, 400))
def test_seen_and_held_out_prompts_are_compared_over_the_same_tasks(seed: int, images: int) -> None:
    asked = np.arange(images) % len(SHAPES)
    hidden = np.array([bool(SHAPES[a].record["held_out"]) for a in asked])
    tasks = np.array([SHAPES[a].group for a in asked])
    values = np.random.default_rng(seed).random(images) < 0.5
    found = composition(values, asked, SHAPES, "shapes")
    both = [t for t in TASKS if all(len(set(asked[kind & (tasks == t)])) > 1 for kind in (hidden, ~hidden))]
    assert set(both) >= {"position", "color_attr"}
    assert list(found.groups) == [*dict.fromkeys(p.group for p in SHAPES), "seen", "held_out"]
    for name, inside in (("seen", ~hidden), ("held_out", hidden)):
        estimate, count = found.groups[name]
        assert estimate.value == pytest.approx(np.mean([values[inside & (tasks == task)].mean() for task in both]))
        assert count == (inside & np.isin(tasks, both)).sum()


def test_a_model_that_repeats_what_it_saw_scores_on_seen_prompts_only() -> None:
    asked = np.arange(len(SHAPES))
    seen = np.array([not prompt.record["held_out"] for prompt in SHAPES])
    found = composition(seen, asked, SHAPES, "shapes")
    assert (found.groups["seen"][0].value, found.groups["held_out"][0].value) == (1, 0)
    # Of colors, position and color_attr, 8, 16 and 16 of 40, 44 and 44 prompts; the other tasks hold nothing out.
    assert (found.groups["seen"][1], found.groups["held_out"][1]) == (88, 40)
    assert found.groups["single_object"][0].value == 1
    assert found.groups["position"][0].value == pytest.approx(28 / 44)


def test_hard_tasks_without_held_out_prompts_do_not_make_seen_ones_look_hard() -> None:
    """Wrong on all counting, right on all else: neither kind is any better."""
    asked = np.arange(len(SHAPES))
    right = np.array([prompt.group != "counting" for prompt in SHAPES])
    found = composition(right, asked, SHAPES, "shapes")
    assert found.groups["seen"][0].value == found.groups["held_out"][0].value == 1
    assert found.overall.value == pytest.approx(5 / 6)


def test_prompts_without_groups_are_scored_as_one() -> None:
    found = score([1, 0, 1, 1], [0, 1, 2, 0], prompts(("", None), ("", None), ("", None)))
    assert found.groups == {}
    assert found.overall.value == 0.75


def test_nothing_is_said_of_held_out_prompts_where_only_some_say_so() -> None:
    given_prompts = prompts(("one", True), ("one", None), ("two", False), ("two", False))
    assert list(score([1, 0, 1, 1], [0, 1, 2, 3], given_prompts).groups) == ["one", "two"]


def test_tasks_with_one_held_out_prompt_are_no_comparison() -> None:
    given_prompts = prompts(("one", True), ("one", False), ("one", False), ("two", False), ("two", False))
    assert list(score([1, 0, 1, 1, 1], [0, 1, 2, 3, 4], given_prompts).groups) == ["one", "two"]


def test_too_few_prompts_name_the_task() -> None:
    given_prompts = prompts(("colors", None), ("colors", None), ("position", None), ("position", None))
    text = too_few([0, 1, 2, 2], given_prompts)
    assert text == (
        "tiny: the images show fewer than 2 prompts of position; generate more images, so that every task has prompts."
    )
    assert "fewer than 2 prompts of position" in too_few([0, 1], given_prompts)
    assert "fewer than 2 prompts of the set" in too_few([0, 0], prompts(("", None), ("", None)))
    assert "fewer than 2 prompts of" in too_few(list(range(20)), list(SHAPES))


# Preference


def test_preference_is_the_mean_over_images_whatever_their_styles() -> None:
    given_prompts = prompts(("anime", None), ("anime", None), ("photo", None), ("photo", None), ("photo", None))
    values, asked = np.array([20.0, 22.0, 30.0, 32.0, 34.0]), np.arange(5)
    found = preference(values, asked, given_prompts, "tiny")
    assert found.overall.value == pytest.approx(values.mean())
    assert found.overall.standard_error == pytest.approx(values.std(ddof=1) / math.sqrt(5))
    assert {name: (e.value, count) for name, (e, count) in found.groups.items()} == {"anime": (21, 2), "photo": (32, 3)}
    assert found.groups["photo"][0].standard_error == pytest.approx(2 / math.sqrt(3))


def test_images_of_one_prompt_count_as_one() -> None:
    by_prompt = np.random.default_rng(0).normal(size=12)
    one, four = (
        preference(np.tile(by_prompt, n), np.tile(np.arange(12), n), prompts(*[("", None)] * 12), "tiny")
        for n in (1, 4)
    )
    assert four.overall.standard_error == pytest.approx(one.overall.standard_error)
    assert four.groups == {}


def test_a_style_of_one_prompt_has_no_score_of_its_own() -> None:
    found = preference(np.array([1.0, 2.0, 3.0]), np.arange(3), prompts(("a", None), ("a", None), ("b", None)), "tiny")
    assert list(found.groups) == ["a"]
    assert found.overall.value == 2


def test_preference_of_one_prompt_has_no_error() -> None:
    with pytest.raises(
        NoScoreError, match=r"^tiny: the images show only one prompt; generate images for more prompts\.$"
    ):
        preference(np.ones(3), np.zeros(3, dtype=int), prompts(("", None)), "tiny")
