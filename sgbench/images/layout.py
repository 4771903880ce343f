"""GenEval's folders: NNNNN/metadata.jsonl with a prompt's record, NNNNN/samples/0000.png and so on with its images.

The layout is that of github.com/djghosh13/geneval, so that its evaluator and this one can read each other's sets. No
torch.
"""

from __future__ import annotations

import io
import json
import re
from collections.abc import Callable, Collection, Mapping, Sequence
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from sgbench.base.atomic import refusal, write_atomic
from sgbench.base.errors import NoScoreError, UserError
from sgbench.cells.prompt_records import COCO_CLASSES, COLOURS, read_records
from sgbench.files.digest import unreadable
from sgbench.images.files import read_image

METADATA: Final = "metadata.jsonl"
SAMPLES: Final = "samples"
IMAGE = re.compile(r"\d+\.png")


def write_layout(
    folder: Path,
    records: Sequence[Mapping[str, Any]],
    images_of: Callable[[int], Sequence[NDArray[np.uint8]]],
) -> None:
    """Write each prompt's record and its images uint8 (H, W, 3), which `images_of` gives by the prompt's number.

    What is there already is kept, so that an interrupted writing goes on. Raises UserError for a folder that holds
    anything else, before it is changed, and when the disk refuses.
    """
    try:
        _check_own(folder, records)
        for index, record in enumerate(records):
            place = folder / _prompt_name(index)
            write_atomic(place / METADATA, _encoded(record))
            for number, image in enumerate(images_of(index)):
                _write_image(place / SAMPLES / _image_name(number), image)
    except OSError as error:
        fix = "make room or choose another place"
        raise refusal(error, "the images could not be written", where=folder, fix=fix) from error


def read_layout(
    folder: Path,
    per_prompt: int = 4,
    classes: Collection[str] = COCO_CLASSES,
    colours: Collection[str] = COLOURS,
) -> list[tuple[dict[str, Any], list[Path]]]:
    """The record and the image files of every prompt, in order; numbers may have any count of digits.

    Raises NoScoreError where images are missing, and UserError for more images than `per_prompt`, for records that
    `read_records` refuses, and for a folder without prompts.
    """
    try:
        places = {int(path.name): path for path in folder.iterdir() if path.name.isdecimal() and path.is_dir()}
        found = {number: _image_files(place / SAMPLES) for number, place in places.items()}
    except OSError as error:
        raise unreadable(folder, error) from error
    if not places:
        raise UserError(
            "there are no prompts in the folder", where=str(folder), fix=f"give one that holds 00000/{METADATA}"
        )
    _check_complete(found, per_prompt, folder)
    return [(_read_record(places[n], classes, colours), found[n]) for n in sorted(places)]


def _prompt_name(index: int) -> str:
    return f"{index:05d}"


def _image_name(number: int) -> str:
    return f"{number:04d}.png"


def _encoded(record: Mapping[str, Any]) -> bytes:
    return (json.dumps(record) + "\n").encode()


def _check_own(folder: Path, records: Sequence[Mapping[str, Any]]) -> None:
    """Refuse a folder that holds more than the beginning of this set; hidden files are other programs' own."""
    if not folder.exists():
        return
    own = {_prompt_name(index): _encoded(record) for index, record in enumerate(records)}
    for path in sorted(folder.iterdir()):
        metadata = path / METADATA
        known = path.name in own and (not metadata.exists() or metadata.read_bytes() == own[path.name])
        if not known and not path.name.startswith("."):
            raise UserError(
                f"the folder holds something else already ({path.name})",
                where=str(folder),
                fix="choose an empty folder, or the one where these prompts were being written",
            )


def _write_image(path: Path, image: NDArray[np.uint8]) -> None:
    if path.exists():
        # Compared as pixels: other versions of a library write the same image in other bytes.
        if np.array_equal(read_image(path), image):
            return
        raise UserError(
            "the image of this name is another one, from another set",
            where=str(path),
            fix="choose an empty folder, or delete this one",
        )
    buffer = io.BytesIO()
    Image.fromarray(image).save(buffer, "PNG")
    write_atomic(path, buffer.getvalue())


def _image_files(samples: Path) -> list[Path]:
    """The images of one prompt by number; the published evaluator, too, reads no other names."""
    found = [path for path in samples.iterdir() if IMAGE.fullmatch(path.name)] if samples.is_dir() else []
    return sorted(found, key=lambda path: int(path.stem))


def _check_complete(found: Mapping[int, Sequence[Path]], per_prompt: int, folder: Path) -> None:
    """Refuse a set with gaps: prompts are counted up to the last that is there."""
    prompts = max(found) + 1
    missing = [
        f"{_prompt_name(index)}/{SAMPLES}/{_image_name(number)}"
        for index in range(prompts)
        for number in sorted(set(range(per_prompt)) - {int(path.stem) for path in found.get(index, [])})
    ]
    if missing:
        raise NoScoreError(
            f"{len(missing)} of {prompts * per_prompt} images are missing (first: {missing[0]})",
            where=str(folder),
            fix="make the missing images: an incomplete set has no score",
        )
    for index in sorted(found):
        if len(found[index]) > per_prompt:
            raise UserError(
                f"the folder holds {len(found[index])} images of a prompt, and {per_prompt} are scored",
                where=str(found[index][0].parent),
                fix=f"keep {per_prompt} for every prompt",
            )


def _read_record(place: Path, classes: Collection[str], colours: Collection[str]) -> dict[str, Any]:
    path = place / METADATA
    try:
        text = path.read_text("utf-8")
    except OSError as error:
        raise unreadable(path, error) from error
    except UnicodeDecodeError as error:
        raise UserError("the file is not text in UTF-8", where=str(path), fix="write it again") from error
    records = read_records(text, str(path), classes, colours)
    if len(records) > 1:
        raise UserError(
            f"the file holds {len(records)} prompts, and its folder is for one", where=str(path), fix="split it"
        )
    return records[0]
