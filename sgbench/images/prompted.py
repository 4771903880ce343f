"""Images generated from prompts: in the order of a prompt set, or in GenEval's folders.

GenEval's folders hold NNNNN/metadata.jsonl with a prompt's record, and NNNNN/samples/0000.png and so on with its
images, as github.com/djghosh13/geneval has them: its evaluator and this one can read each other's sets. No torch.
"""

import io
import json
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Final

import numpy as np
from PIL import Image

from sgbench.base.atomic import refusal, write_atomic
from sgbench.base.errors import NoScoreError, UserError
from sgbench.cells.prompt_records import COCO_CLASSES, COLOURS, read_records
from sgbench.cells.prompts import PromptSet, from_records
from sgbench.files.digest import unreadable
from sgbench.images.files import Images, read_image
from sgbench.images.sets import FolderImages, ImageSet, NpzImages

METADATA: Final = "metadata.jsonl"
SAMPLES: Final = "samples"
IMAGE = re.compile(r"\d+\.png")


class PromptedImages(ImageSet):
    """A folder or npz whose image i shows prompt i mod P. Raises NoScoreError where images are missing."""

    def __init__(self, images: FolderImages | NpzImages, prompts: PromptSet) -> None:
        number = len(prompts.prompts)
        if images.count % number:
            there = f"there are {images.count}, and {prompts.name} has {number} prompts"
            fix = "generate the same number of images for every prompt, in the order of the prompts"
            raise NoScoreError(f"{-images.count % number} images are missing: {there}", where=images.where, fix=fix)
        self.images, self.prompts = images, prompts
        self.where, self.count, self.quantisation = images.where, images.count, images.quantisation
        self.labels = np.arange(images.count) % number
        self.label_policy = "balanced"

    def parts(self) -> Iterator[Images]:
        """The images, as their folder or npz gives them."""
        return self.images.parts()


class LayoutImages(ImageSet):
    """GenEval's folders, prompt by prompt. Raises NoScoreError where images are missing."""

    def __init__(self, folder: Path) -> None:
        found = read_layout(folder)
        self.where, self.label_policy = str(folder), "balanced"
        self.paths = [path for _, paths in found for path in paths]
        self.count = len(self.paths)
        self.labels = np.repeat(np.arange(len(found)), [len(paths) for _, paths in found])
        self.prompts = from_records("geneval", [record for record, _ in found], self.where)

    def parts(self) -> Iterator[Images]:
        """One image at a time: they may differ in size."""
        for path in self.paths:
            yield read_image(path)[None]


def is_layout(folder: Path) -> bool:
    """Whether a folder has GenEval's layout."""
    return folder.is_dir() and any(folder.glob(f"[0-9]*/{METADATA}"))


def write_layout(
    folder: Path, records: Sequence[Mapping[str, Any]], images_of: Callable[[int], Sequence[Images]]
) -> None:
    """Write each prompt's record and its images uint8 (H, W, 3), which `images_of` gives by the prompt's number.

    Files that exist are kept, so an interrupted export can be continued. Raises UserError for a folder that holds
    anything else, before it is changed, and where the disk refuses.
    """
    try:
        _check_own(folder, records)
        for index, record in enumerate(records):
            place = folder / _prompt_name(index)
            write_atomic(place / METADATA, _encoded(record))
            for number, image in enumerate(images_of(index)):
                _write_image(place / SAMPLES / _image_name(number), image)
    except OSError as error:
        fix = "free disk space or choose another folder"
        raise refusal(error, "the images could not be written", where=folder, fix=fix) from error


def read_layout(folder: Path) -> list[tuple[dict[str, Any], list[Path]]]:
    """The record and the image files of every prompt, in order; numbers may have any count of digits.

    Raises NoScoreError where a prompt has fewer images than another or is missing, and UserError for records that
    `read_records` refuses and for a folder without prompts.
    """
    try:
        places = {int(path.name): path for path in folder.iterdir() if path.name.isdecimal() and path.is_dir()}
        found = {number: _image_files(place / SAMPLES) for number, place in places.items()}
    except OSError as error:
        raise unreadable(folder, error) from error
    if not places:
        fix = f"give one that holds 00000/{METADATA}"
        raise UserError("there are no prompts in the folder", where=str(folder), fix=fix)
    prompts, per_prompt = max(found) + 1, max(1, *map(len, found.values()))
    missing = [
        f"{_prompt_name(index)}/{SAMPLES}/{_image_name(number)}"
        for index in range(prompts)
        for number in sorted(set(range(per_prompt)) - {int(path.stem) for path in found.get(index, [])})
    ]
    if missing:
        what = f"{len(missing)} of {prompts * per_prompt} images are missing (first: {missing[0]})"
        raise NoScoreError(what, where=str(folder), fix="generate the missing images: an incomplete set has no score")
    return [(_read_record(places[number] / METADATA), found[number]) for number in sorted(places)]


def _prompt_name(index: int) -> str:
    return f"{index:05d}"


def _image_name(number: int) -> str:
    return f"{number:04d}.png"


def _encoded(record: Mapping[str, Any]) -> bytes:
    return (json.dumps(record) + "\n").encode()


def _check_own(folder: Path, records: Sequence[Mapping[str, Any]]) -> None:
    """Raise UserError for a folder that holds anything but a part of this set; hidden files are ignored."""
    if not folder.exists():
        return
    own = {_prompt_name(index): _encoded(record) for index, record in enumerate(records)}
    for path in sorted(folder.iterdir()):
        metadata = path / METADATA
        known = path.name in own and (not metadata.exists() or metadata.read_bytes() == own[path.name])
        if not known and not path.name.startswith("."):
            fix = "choose an empty folder, or the one where these prompts were being written"
            raise UserError(f"the folder already holds something else ({path.name})", where=str(folder), fix=fix)


def _write_image(path: Path, image: Images) -> None:
    if path.exists():
        # Pixels are compared: other versions of a library encode the same image differently.
        if np.array_equal(read_image(path), image):
            return
        fix = "choose an empty folder, or delete this one"
        raise UserError("a different image has this name already", where=str(path), fix=fix)
    buffer = io.BytesIO()
    Image.fromarray(image).save(buffer, "PNG")
    write_atomic(path, buffer.getvalue())


def _image_files(samples: Path) -> list[Path]:
    """The images of one prompt by number; like the published evaluator, no other names are read."""
    found = [path for path in samples.iterdir() if IMAGE.fullmatch(path.name)] if samples.is_dir() else []
    return sorted(found, key=lambda path: int(path.stem))


def _read_record(path: Path) -> dict[str, Any]:
    try:
        text = path.read_text("utf-8")
    except OSError as error:
        raise unreadable(path, error) from error
    except UnicodeDecodeError as error:
        raise UserError("the file is not UTF-8 text", where=str(path), fix="write it again in UTF-8") from error
    records = read_records(text, str(path), COCO_CLASSES, COLOURS)
    if len(records) > 1:
        what = f"the file holds {len(records)} prompts, and its folder is for one"
        raise UserError(what, where=str(path), fix="split it")
    return records[0]
