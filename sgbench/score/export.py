"""A cell's images for other evaluators: ADM's npz (`arr_0` uint8 (N, H, W, 3), `arr_1` labels), GenEval's folders."""

import math
import zipfile
from functools import lru_cache
from pathlib import Path
from typing import IO, NamedTuple

import numpy as np

from sgbench.base.atomic import refusal, writing
from sgbench.base.errors import UserError
from sgbench.images.files import Images
from sgbench.images.prompted import write_layout
from sgbench.images.sets import look
from sgbench.results.store import SHARD
from sgbench.score.cell_images import CellImages
from sgbench.suite.prompt_checks import check_records


class Exported(NamedTuple):
    """The file, its images, and whether grey ones were repeated to RGB."""

    file: str
    images: int
    repeated: bool


def export_adm(images: CellImages, path: Path) -> Exported:
    """Write the npz, whole or not at all. Raises UserError when images are missing or it cannot be written."""
    seen = look(images)
    grey = seen.channels == 1
    shape = (images.count, seen.side[1], seen.side[0], 3)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with writing(path) as stream:
            _write(images, shape, stream)
    except OSError as error:
        fix = "make room or choose another place"
        what, needed = "the images could not be written", math.prod(shape)
        raise refusal(error, what, where=path, fix=fix, needed=needed) from error
    return Exported(str(path), images.count, grey)


def export_geneval(images: CellImages, folder: Path) -> Exported:
    """Write GenEval's folders, as its evaluator reads them. Raises UserError when images or records are missing."""
    prompts = images.prompts
    if prompts is None:
        raise UserError("the cell's images are class-conditional", where=images.where, fix="use --adm")
    if images.label_policy != "balanced":
        raise UserError(
            "the cell chooses prompts at random, and GenEval's folders need equally many images of each",
            where=images.where,
            fix="run a suite with `labels: balanced`",
        )
    check_records("geneval", prompts)
    asked = len(prompts.prompts)
    if images.count % asked:
        raise UserError(
            f"{-images.count % asked} images are missing: there are {images.count} of {asked} prompts",
            where=images.where,
            fix="generate equally many of each, or give --limit",
        )
    look(images)

    # Images of a prompt are as far apart as there are prompts: as many shards are open as a prompt has images.
    @lru_cache(maxsize=images.count // asked)
    def shard(number: int) -> Images:
        found = images.store.read_shard(images.cell, number)
        if found is None:
            raise images.incomplete()
        return found.images

    def images_of(prompt: int) -> list[Images]:
        return [shard(index // SHARD)[index % SHARD] for index in range(prompt, images.count, asked)]

    write_layout(folder, [{**p.record, "prompt": p.text} for p in prompts.prompts], images_of)
    return Exported(str(folder), images.count, False)


def _write(images: CellImages, shape: tuple[int, ...], stream: IO[bytes]) -> None:
    """Write the archive a shard at a time: all images together may be larger than the memory."""
    header = {"descr": "|u1", "fortran_order": False, "shape": shape}
    # Uncompressed, as ADM's evaluator streams it.
    with zipfile.ZipFile(stream, "w", zipfile.ZIP_STORED) as archive:
        with archive.open("arr_0.npy", "w", force_zip64=True) as member:
            np.lib.format.write_array_header_1_0(member, header)
            for part in images.parts():
                member.write(np.broadcast_to(part, (*part.shape[:3], 3)).tobytes())
        with archive.open("arr_1.npy", "w") as member:
            np.lib.format.write_array(member, images.labels, allow_pickle=False)
