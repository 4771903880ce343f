"""Prompt metadata: published records are read as they are, and each kind of fault is named with its line."""

from __future__ import annotations

import json
from typing import Any

import pytest

from sgbench.base.errors import UserError
from sgbench.cells.prompt_records import COCO_CLASSES, COLOURS, RELATIONS, read_records

# Lines 301, 241 and 361 of the published prompts/evaluation_metadata.jsonl.
PUBLISHED = """\
{"tag": "colors", "include": [{"class": "potted plant", "count": 1, "color": "purple"}], "prompt": "a photo of a purple potted plant"}
{"tag": "counting", "include": [{"class": "pizza", "count": 3}], "exclude": [{"class": "pizza", "count": 4}], "prompt": "a photo of three pizzas"}
{"tag": "position", "include": [{"class": "skateboard", "count": 1}, {"class": "bird", "count": 1, "position": ["below", 0]}], "prompt": "a photo of a bird below a skateboard"}
"""  # noqa: E501


def read(text: str) -> list[dict[str, Any]]:
    return read_records(text, "prompts.jsonl", COCO_CLASSES, COLOURS)


def record(**changes: Any) -> str:
    whole = {
        "tag": "position",
        "include": [{"class": "dog", "count": 1}, {"class": "cat", "count": 1, "position": ["above", 0]}],
        "prompt": "a photo of a cat above a dog",
        **changes,
    }
    return json.dumps({key: value for key, value in whole.items() if value is not None})


def test_the_names_are_the_published_ones() -> None:
    """80 lines of object_names.txt; these three are where it leaves COCO's names."""
    assert len(set(COCO_CLASSES)) == 80
    assert COCO_CLASSES[0] == "person"
    assert COCO_CLASSES[62:68] == ("tv", "laptop", "computer mouse", "tv remote", "computer keyboard", "cell phone")
    assert COCO_CLASSES[-1] == "toothbrush"
    assert COLOURS == ("red", "orange", "yellow", "green", "blue", "purple", "pink", "brown", "black", "white")
    assert RELATIONS == ("left of", "right of", "above", "below")


def test_published_records_are_read_as_they_are() -> None:
    records = read(PUBLISHED)
    assert [r["tag"] for r in records] == ["colors", "counting", "position"]
    assert records[1]["exclude"] == [{"class": "pizza", "count": 4}]
    assert records[2] == json.loads(PUBLISHED.splitlines()[2])


def test_other_detectors_have_other_names() -> None:
    text = '{"tag": "colors", "include": [{"class": "star", "count": 1, "color": "teal"}], "prompt": "a teal star"}'
    assert read_records(text, "drawn", ["star"], {"teal": 1})[0]["include"][0]["color"] == "teal"


def test_lines_are_counted_with_empty_ones() -> None:
    """A line separator inside a string is part of it."""
    fine = record(prompt="a\u2028b").replace("\\u2028", "\u2028")
    assert len(read(f"{fine}\r\n\n{fine}\n")) == 2
    with pytest.raises(UserError, match=r"^prompts.jsonl: line 4: the line is not JSON"):
        read(f"{fine}\n\n{fine}\nnonsense\n")


ENTRY = {"class": "dog", "count": 1}
FAULTS = [
    ("{", r"the line is not JSON \(Expecting property name"),
    ("[" * 100_000, r"the line is not JSON \(RecursionError\)"),
    ("[]", "the line is not a JSON object"),
    (record(tag="couting"), r"unknown tag 'couting', did you mean 'counting'\?"),
    (record(tag=None), "the tag is missing or not text"),
    (record(tag=3), "the tag is missing or not text"),
    (record(prompt=None), "the prompt is missing or empty"),
    (record(prompt="  "), "the prompt is missing or empty"),
    (record(prompt=["a"]), "the prompt is missing or empty"),
    (record(exlude=[ENTRY]), r"unknown key 'exlude', did you mean 'exclude'\?"),
    (record(include=None), "include is missing or empty"),
    (record(include=[]), "include is missing or empty"),
    (record(include={"class": "dog"}), "include is not a list of objects"),
    (record(include=["dog"]), "include is not a list of objects"),
    (record(exclude="dog"), "exclude is not a list of objects"),
    (record(include=[{"class": "dgo", "count": 1}]), r"unknown class 'dgo', did you mean 'dog'\?"),
    (record(include=[{"count": 1}]), "the class is missing or not text"),
    (record(include=[{**ENTRY, "colour": "red"}]), r"unknown key 'colour', did you mean 'color'\?"),
    (record(include=[{**ENTRY, "color": "gren"}]), r"unknown colour 'gren', did you mean 'green'\?"),
    (record(include=[{**ENTRY, "color": None}]), "the colour is missing or not text"),
    (record(include=[{"class": "dog"}]), "the count of dog is None, not a positive whole number"),
    *((record(include=[{**ENTRY, "count": c}]), "the count of dog is") for c in (0, -1, 1.0, "2", True, [])),
    (record(exclude=[{**ENTRY, "count": 0}]), "the count of dog is 0"),
    (record(exclude=[{**ENTRY, "color": "red"}]), "unknown key 'color'"),
    (record(exclude=[{"class": "dgo", "count": 2}]), "unknown class 'dgo'"),
    *(
        (record(include=[ENTRY, {**ENTRY, "position": p}]), "not a relation and a target")
        for p in ("above", ["above"], 0)
    ),
    (record(include=[ENTRY, {**ENTRY, "position": ["over", 0]}]), "unknown relation 'over'"),
    (record(include=[ENTRY, {**ENTRY, "position": ["bellow", 0]}]), r"'bellow', did you mean 'below'\?"),
    *(
        (record(include=[ENTRY, {**ENTRY, "position": ["above", t]}]), "is not an earlier entry of include")
        for t in (1, -1, 2, False, "0", None)
    ),
    (
        record(include=[{**ENTRY, "position": ["above", 0]}]),
        "the target 0 of a position is not an earlier entry of include",
    ),
]


@pytest.mark.parametrize(("line", "message"), FAULTS)
def test_a_fault_is_named_with_its_line(line: str, message: str) -> None:
    with pytest.raises(UserError, match=rf"^prompts.jsonl: line 2: .*{message}"):
        read(f"{record()}\n{line}\n")


@pytest.mark.parametrize("text", ["", "\n \n"])
def test_a_file_without_prompts_is_refused(text: str) -> None:
    with pytest.raises(UserError, match=r"^prompts.jsonl: there are no prompts in the file"):
        read(text)
