"""GenEval's prompt metadata, one JSON object a line: read and checked as a whole before any image is scored. No torch.

The form is that of github.com/djghosh13/geneval, prompts/evaluation_metadata.jsonl. A misspelt key would go unnoticed
and make a prompt easier, so unknown keys are refused too.
"""

import json
from collections.abc import Collection
from typing import Any, Final, TypeGuard

from sgbench.base.choices import suggestion
from sgbench.base.errors import UserError
from sgbench.cells.prompts import numbered_lines

TASKS: Final = ("single_object", "two_object", "counting", "colors", "position", "color_attr")
RELATIONS: Final = ("left of", "right of", "above", "below")
COLOURS: Final = ("red", "orange", "yellow", "green", "blue", "purple", "pink", "brown", "black", "white")
# The order is COCO's and that of the detector's outputs; the names are those of the published object_names.txt, which
# says computer mouse, tv remote and computer keyboard where COCO says mouse, remote and keyboard.
_CLASSES = (
    "person, bicycle, car, motorcycle, airplane, bus, train, truck, boat, traffic light, fire hydrant, stop sign, "
    "parking meter, bench, bird, cat, dog, horse, sheep, cow, elephant, bear, zebra, giraffe, backpack, umbrella, "
    "handbag, tie, suitcase, frisbee, skis, snowboard, sports ball, kite, baseball bat, baseball glove, skateboard, "
    "surfboard, tennis racket, bottle, wine glass, cup, fork, knife, spoon, bowl, banana, apple, sandwich, orange, "
    "broccoli, carrot, hot dog, pizza, donut, cake, chair, couch, potted plant, bed, dining table, toilet, tv, laptop, "
    "computer mouse, tv remote, computer keyboard, cell phone, microwave, oven, toaster, sink, refrigerator, book, "
    "clock, vase, scissors, teddy bear, hair drier, toothbrush"
)
COCO_CLASSES: Final = tuple(_CLASSES.split(", "))

# held_out, in prompts of this project: whether training left the combination out.
RECORD_KEYS = ("tag", "include", "exclude", "prompt", "held_out")
INCLUDE_KEYS = ("class", "count", "color", "position")
EXCLUDE_KEYS = ("class", "count")
MOST_LISTED = 20
FORM = 'write it as {"tag": "counting", "include": [{"class": "dog", "count": 2}], "prompt": "a photo of two dogs"}'


def read_records(text: str, where: str, classes: Collection[str], colours: Collection[str]) -> list[dict[str, Any]]:
    """The records of a metadata file, in order; blank lines are skipped.

    `classes` and `colours` are the names that the detector and the judge of colours know. Raises UserError naming the
    line of the first invalid record, and for a file without records.
    """
    records = []
    for place, line in numbered_lines(text, where):
        record = _parsed(line, place)
        check_record(record, place, classes, colours)
        records.append(record)
    if not records:
        raise UserError("there are no prompts in the file", where=where, fix=FORM)
    return records


def _parsed(line: str, where: str) -> dict[str, Any]:
    try:
        record = json.loads(line)
    except (ValueError, RecursionError) as error:
        reason = error.msg if isinstance(error, json.JSONDecodeError) else type(error).__name__
        raise UserError(f"the line is not JSON ({reason})", where=where, fix=FORM) from error
    if not isinstance(record, dict):
        raise UserError("the line is not a JSON object", where=where, fix=FORM)
    return record


def check_record(record: dict[str, Any], where: str, classes: Collection[str], colours: Collection[str]) -> None:
    """Raise UserError for an invalid record; classes and colours as in `read_records`."""
    for key in record:
        _check_name(key, RECORD_KEYS, "key", where)
    _check_name(record.get("tag"), TASKS, "tag", where)
    prompt = record.get("prompt")
    if not isinstance(prompt, str) or not prompt.strip():
        raise UserError("the prompt is missing or empty", where=where, fix=FORM)
    include, exclude = (_entries(record, key, where) for key in ("include", "exclude"))
    if not include:
        raise UserError("include is missing or empty, so that any image would do", where=where, fix=FORM)
    for index, entry in enumerate(include):
        _check_entry(entry, INCLUDE_KEYS, where, classes)
        if "color" in entry:
            _check_name(entry["color"], colours, "colour", where)
        if "position" in entry:
            _check_position(entry["position"], index, where)
    for entry in exclude:
        _check_entry(entry, EXCLUDE_KEYS, where, classes)


def _entries(record: dict[str, Any], key: str, where: str) -> list[dict[str, Any]]:
    entries = record.get(key, [])
    if not isinstance(entries, list) or not all(isinstance(entry, dict) for entry in entries):
        raise UserError(f"{key} is not a list of objects", where=where, fix=FORM)
    return entries


def _check_entry(entry: dict[str, Any], keys: tuple[str, ...], where: str, classes: Collection[str]) -> None:
    for key in entry:
        _check_name(key, keys, "key", where)
    _check_name(entry.get("class"), classes, "class", where)
    count = entry.get("count")
    if not _is_whole(count) or count < 1:
        raise UserError(
            f"the count of {entry['class']} is {count!r}, not a positive whole number", where=where, fix=FORM
        )


def _check_position(position: object, index: int, where: str) -> None:
    if not isinstance(position, list) or len(position) != 2:
        raise UserError(
            f"the position is {position!r}, not a relation and a target", where=where, fix='write it as ["left of", 0]'
        )
    _check_name(position[0], RELATIONS, "relation", where)
    if not _is_whole(position[1]) or not 0 <= position[1] < index:
        raise UserError(
            f"the target {position[1]!r} of a position is not an earlier entry of include",
            where=where,
            fix="give the place of the target in include, counted from 0, and put the target first",
        )


def _is_whole(value: object) -> TypeGuard[int]:
    return isinstance(value, int) and not isinstance(value, bool)


def _check_name(name: object, known: Collection[str], what: str, where: str) -> None:
    if not isinstance(name, str):
        raise UserError(f"the {what} is missing or not text", where=where, fix=FORM)
    if name not in known:
        raise UserError(
            f"unknown {what} {name!r}{suggestion(name, list(known))}",
            where=where,
            fix=f"known are {', '.join(known)}"
            if len(known) <= MOST_LISTED
            else f"use one of the {len(known)} of COCO",
        )
