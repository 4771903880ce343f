"""GenEval's rules on hand-made detections: each rule just inside and just outside, and laws that must hold."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sgbench.cells.prompt_records import RELATIONS, TASKS
from sgbench.metrics.judges.geneval import GENEVAL, Box, Detection, Rules, Verdict, judge, relations

MIRRORED = {"left of": "right of", "right of": "left of", "above": "above", "below": "below"}


def dog(score: float, box: Box = (0, 0, 10, 10), name: str = "dog") -> Detection:
    return Detection(name, box, score, None)


def no_colours(_: Sequence[Detection]) -> list[str]:
    raise AssertionError("no colour was asked for")


def want(tag: str = "single_object", exclude: int | None = None, **entry: Any) -> dict[str, Any]:
    record: dict[str, Any] = {"tag": tag, "include": [{"class": "dog", "count": 1, **entry}], "prompt": "a prompt"}
    return record if exclude is None else {**record, "exclude": [{"class": "dog", "count": exclude}]}


def ask(record: dict[str, Any], *found: Detection, rules: Rules = GENEVAL) -> Verdict:
    return judge(record, found, no_colours, rules)


def test_the_published_settings() -> None:
    """evaluation/evaluate_images.py of the published evaluator, at its end; the tags in the order of its prompts."""
    assert Rules(0.3, 0.9, 16, 1.0, 0.1) == GENEVAL
    assert TASKS == ("single_object", "two_object", "counting", "colors", "position", "color_attr")


def test_a_class_is_there_or_missing() -> None:
    assert ask(want(), dog(0.5)) == (True, "")
    assert ask(want()) == (False, "expected 1 dog, found 0")
    assert ask(want(), dog(0.9, name="cat")) == (False, "expected 1 dog, found 0")
    # Objects that nobody asked for do no harm, nor does another one of the class.
    assert ask(want(), dog(0.5), dog(0.9, name="cat"), dog(0.4)).correct


def test_every_entry_must_be_met() -> None:
    record = {"tag": "two_object", "include": [{"class": "dog", "count": 1}, {"class": "cat", "count": 2}]}
    assert ask(record, dog(0.5), dog(0.5, name="cat"), dog(0.4, name="cat")).correct
    assert ask(record, dog(0.5, name="cat")) == (False, "expected 1 dog, found 0; expected 2 cat, found 1")


@pytest.mark.parametrize(("tag", "threshold"), [("single_object", 0.3), ("color_attr", 0.3), ("counting", 0.9)])
def test_confidence_must_be_above_the_threshold_of_its_tag(tag: str, threshold: float) -> None:
    assert not ask(want(tag), dog(threshold)).correct
    assert ask(want(tag), dog(threshold + 1e-6)).correct


def test_counting_wants_exactly_so_many() -> None:
    record = want("counting", exclude=4, count=3)
    assert ask(record, *[dog(0.95)] * 2) == (False, "expected 3 dog, found 2")
    assert ask(record, *[dog(0.95)] * 3).correct
    assert ask(record, *[dog(0.95)] * 4) == (False, "expected at most 3 dog, found 4")
    # One that is less sure is not counted.
    assert ask(record, *[dog(0.95)] * 3, dog(0.89)).correct


def test_no_more_than_sixteen_of_a_class_are_looked_at() -> None:
    assert ask(want(count=16), *[dog(0.5)] * 40).correct
    assert ask(want(count=17), *[dog(0.5)] * 40) == (False, "expected 17 dog, found 16")
    assert ask(want(exclude=17), *[dog(0.5)] * 40).correct
    assert ask(want(exclude=3), *[dog(0.5)] * 40, rules=Rules(most=2)).correct


def test_overlapping_boxes_count_each_unless_asked() -> None:
    """Two boxes of 11 x 11 pixels, ends included, share 11 x 6: 66 / (2 x 121 - 66) = 0.375."""
    pair = dog(0.5, (0, 0, 10, 10)), dog(0.6, (0, 5, 10, 15))
    assert ask(want(count=2), *pair).correct
    assert ask(want(count=2), *pair, rules=Rules(overlap=0.376)).correct
    assert ask(want(count=2), *pair, rules=Rules(overlap=0.375)) == (False, "expected 2 dog, found 1")
    # What was dropped drops nothing itself: the last one overlaps only the middle one.
    chain = *pair, dog(0.4, (0, -6, 10, 4))
    assert ask(want(count=2), *chain, rules=Rules(overlap=0.2)).correct
    # The cut at most comes first, as in the original.
    doubled = dog(0.9), dog(0.8), dog(0.7, (50, 50, 60, 60))
    assert not ask(want(count=2), *doubled, rules=Rules(overlap=0.5, most=2)).correct


def test_colours_are_asked_of_the_most_confident_only() -> None:
    red, blue = dog(0.9, (0, 0, 10, 10)), dog(0.8, (20, 0, 30, 10))
    asked: list[Sequence[Detection]] = []

    def colour_of(found: Sequence[Detection]) -> list[str]:
        asked.append(found)
        return ["red" if d == red else "blue" for d in found]

    assert judge(want("colors", color="red"), [blue, red], colour_of).correct
    assert asked == [[red]]
    assert judge(want("colors", color="blue"), [blue, red], colour_of) == (False, "expected 1 blue dog, found 1 red")
    two = want("colors", color="red", count=2)
    assert judge(two, [blue, red], colour_of) == (False, "expected 2 red dog, found 1 red, 1 blue")
    assert judge(two, [red, red, blue], colour_of).correct
    # Too few are too few whatever their colour, and nobody is asked.
    assert judge(two, [red], no_colours) == (False, "expected 2 dog, found 1")


def test_of_equal_confidence_the_later_is_first() -> None:
    """A stable argsort turned around, which is what the original's comes to for few objects."""
    first, second = dog(0.5, (0, 0, 10, 10)), dog(0.5, (20, 0, 30, 10))

    def colour_of(found: Sequence[Detection]) -> list[str]:
        return ["red" if d == second else "blue" for d in found]

    assert judge(want("colors", color="red"), [first, second], colour_of).correct
    assert not judge(want("colors", color="red"), [second, first], colour_of).correct


def at(x: float, y: float, width: float = 10, height: float = 10) -> Box:
    return (x - width / 2, y - height / 2, x + width / 2, y + height / 2)


@pytest.mark.parametrize(
    ("x", "y", "expected"),
    [
        (0, 0, ()),
        # A tenth of both widths is 2 pixels, and half of the offset must be left: 4 is not enough.
        (2, 0, ()),
        (4, 0, ()),
        (4.01, 0, ("right of",)),
        (-4.01, 0, ("left of",)),
        (0, -4, ()),
        (0, -4.01, ("above",)),
        (0, 4.01, ("below",)),
        # On a diagonal 0.71 of the offset lies on each axis: (d - 2) / (1.414 d) is a half at d = 6.83.
        (6.82, 6.82, ()),
        (6.84, 6.84, ("right of", "below")),
        (-6.84, -6.84, ("left of", "above")),
        # 30 degrees lie on the edge of the half without the threshold, and outside with it.
        (100, 60, ("right of",)),
        (100, 70, ("right of", "below")),
    ],
)
def test_offsets_just_inside_and_outside(x: float, y: float, expected: tuple[str, ...]) -> None:
    assert relations(at(x, y), at(0, 0)) == expected


def test_the_threshold_goes_by_the_sides_of_each_axis() -> None:
    """Widths of 40 and 60 ask for 10 pixels and as much again, heights of 10 and 10 for 2."""
    wide, wider = at(20.5, 0, 40, 10), at(0, 0, 60, 10)
    assert relations(wide, wider) == ("right of",)
    assert relations(at(19.5, 0, 40, 10), wider) == ()
    assert relations(at(0, 4.5, 40, 10), wider) == ("below",)
    # Corners in the wrong order have sides all the same.
    assert relations((40.5, 5, 0.5, -5), wider) == ("right of",)


def place(relation: str, count: int = 1, target: int = 0) -> dict[str, Any]:
    cat = {"class": "cat", "count": 1}
    return {
        "tag": "position",
        "include": [cat, {**cat, "class": "cup"}, {"class": "dog", "count": count, "position": [relation, target]}],
    }


def scene(*more: Detection, cup: Box = (100, 0, 110, 10)) -> list[Detection]:
    return [dog(0.9, (50, 0, 60, 10), "cat"), dog(0.9, cup, "cup"), *more]


def test_the_place_is_relative_to_the_target_entry() -> None:
    between = scene(dog(0.5, (70, 0, 80, 10)))
    assert ask(place("right of"), *between).correct
    assert ask(place("left of", target=1), *between).correct
    assert ask(place("left of"), *between) == (False, "expected dog left of target, found right of")
    assert ask(place("above"), *scene(dog(0.5, (52, 0, 62, 10)))).reason == (
        "expected dog above target, found no clear offset"
    )
    assert ask(place("left of"), *scene(dog(0.5, (90, 40, 100, 50)))).reason == (
        "expected dog left of target, found right of and below"
    )


def test_without_its_target_nothing_is_placed() -> None:
    found = dog(0.9, (100, 0, 110, 10), "cup"), dog(0.5, (70, 0, 80, 10))
    assert ask(place("left of", target=1), *found).reason == "expected 1 cat, found 0"
    assert (
        ask(place("right of"), *found).reason
        == "expected 1 cat, found 0; expected dog right of target, found no target"
    )


def test_only_the_most_confident_are_placed_and_all_of_those() -> None:
    right, left = dog(0.9, (70, 0, 80, 10)), dog(0.8, (0, 0, 10, 10))
    assert ask(place("right of"), *scene(right, left)).correct
    assert not ask(place("right of", count=2), *scene(right, left)).correct
    assert ask(place("right of", count=2), *scene(right, dog(0.7, (90, 0, 99, 10)))).correct
    # A second cat is no target.
    assert ask(place("right of"), *scene(right, dog(0.8, (200, 0, 210, 10), "cat"))).correct


def test_a_wrong_colour_is_no_target() -> None:
    record = place("right of")
    record["include"][0]["color"] = "red"
    verdict = judge(record, scene(dog(0.5, (70, 0, 80, 10))), lambda found: ["blue"] * len(found))
    assert verdict.reason == "expected 1 red cat, found 1 blue; expected dog right of target, found no target"


COORDINATES = st.integers(0, 100)
OBJECTS = st.builds(
    lambda name, x, y, width, height: Detection(name, (x, y, x + width, y + height), 0.0, None),
    st.sampled_from(["dog", "cat", "cup"]),
    COORDINATES,
    COORDINATES,
    st.integers(1, 60),
    st.integers(1, 60),
)


@st.composite
def scenes(draw: st.DrawFn) -> list[Detection]:
    """Objects whose scores are all different, on both sides of both thresholds."""
    things = draw(st.lists(OBJECTS, max_size=8))
    scores = draw(st.lists(st.integers(0, 1000), min_size=len(things), max_size=len(things), unique=True))
    return [thing._replace(score=score / 1000) for thing, score in zip(things, scores, strict=True)]


@st.composite
def wishes(draw: st.DrawFn) -> dict[str, Any]:
    """Records of any kind, colours aside."""
    entry = st.fixed_dictionaries({"class": st.sampled_from(["dog", "cat", "cup"]), "count": st.integers(1, 3)})
    include = draw(st.lists(entry, min_size=1, max_size=3))
    for index, wanted in enumerate(include[1:], start=1):
        if draw(st.booleans()):
            wanted["position"] = [draw(st.sampled_from(RELATIONS)), draw(st.integers(0, index - 1))]
    return {"tag": draw(st.sampled_from(TASKS)), "include": include, "exclude": draw(st.lists(entry, max_size=1))}


@pytest.mark.slow
@given(wishes(), scenes(), st.randoms())
def test_the_order_of_detections_never_matters(record: dict[str, Any], found: list[Detection], random: Any) -> None:
    shuffled = list(found)
    random.shuffle(shuffled)
    assert ask(record, *found) == ask(record, *shuffled)


@pytest.mark.slow
@given(wishes(), scenes(), OBJECTS, st.floats(0, 1))
def test_an_object_below_the_threshold_changes_nothing(
    record: dict[str, Any], found: list[Detection], thing: Detection, share: float
) -> None:
    threshold = 0.9 if record["tag"] == "counting" else 0.3
    assert ask(record, *found) == ask(record, *found, thing._replace(score=share * threshold))


@pytest.mark.slow
@given(wishes(), scenes())
def test_in_the_mirror_left_is_right(record: dict[str, Any], found: list[Detection]) -> None:
    mirrored = [d._replace(box=(200 - d.box[2], d.box[1], 200 - d.box[0], d.box[3])) for d in found]
    turned = {**record, "include": [dict(entry) for entry in record["include"]]}
    for entry in turned["include"]:
        if "position" in entry:
            entry["position"] = [MIRRORED[entry["position"][0]], entry["position"][1]]
    assert ask(record, *found).correct == ask(turned, *mirrored).correct


@given(OBJECTS, OBJECTS)
def test_opposite_relations_hold_the_other_way_round(one: Detection, other: Detection) -> None:
    opposite = {"left of": "right of", "right of": "left of", "above": "below", "below": "above"}
    there, back = relations(one.box, other.box), relations(other.box, one.box)
    assert {opposite[name] for name in there} == set(back)
    assert not {"left of", "right of"} <= set(there)


@pytest.mark.slow
@given(wishes(), scenes())
def test_as_transcribed_from_the_published_text(record: dict[str, Any], found: list[Detection]) -> None:
    """A second, plain reading of the published rules, which knows neither groups nor helpers of the first."""
    sure = 0.9 if record["tag"] == "counting" else 0.3
    ranked = sorted((d for d in found if d.score > sure), key=lambda d: -d.score)
    best = {name: [d for d in ranked if d.name == name] for name in ("dog", "cat", "cup")}
    met: list[bool] = []
    for wanted in record["include"]:
        group = best[wanted["class"]][: wanted["count"]]
        good = len(group) == wanted["count"]
        if good and "position" in wanted:
            relation, target = wanted["position"]
            goal = record["include"][target]
            good = met[target] and all(
                holds(relation, d.box, other.box) for d in group for other in best[goal["class"]][: goal["count"]]
            )
        met.append(good)
    none_barred = all(len(best[barred["class"]]) < barred["count"] for barred in record["exclude"])
    assert ask(record, *found).correct == (all(met) and none_barred)


def holds(relation: str, box: Box, other: Box) -> bool:
    axis = 0 if relation in ("left of", "right of") else 1
    gaps = [(box[a] + box[a + 2] - other[a] - other[a + 2]) / 2 for a in (0, 1)]
    slack = [(box[a + 2] - box[a] + other[a + 2] - other[a]) / 10 for a in (0, 1)]
    towards = gaps[axis] if relation in ("right of", "below") else -gaps[axis]
    left = max(towards - slack[axis], 0)
    return left >= 1e-3 and left > 0.5 * (gaps[0] ** 2 + gaps[1] ** 2) ** 0.5
