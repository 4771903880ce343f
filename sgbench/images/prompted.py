"""Sets of images that anybody made of prompts: in the order of a prompt set, or in GenEval's folders."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from sgbench.base.errors import NoScoreError
from sgbench.cells.prompts import PromptSet, from_records
from sgbench.images.files import Images, read_image
from sgbench.images.layout import METADATA, read_layout
from sgbench.images.sets import QUANTISATION, FolderImages, NpzImages


class PromptedImages:
    """A folder or npz whose image i shows prompt i mod P. Raises NoScoreError where images are missing."""

    def __init__(self, images: FolderImages | NpzImages, prompts: PromptSet) -> None:
        asked = len(prompts.prompts)
        if images.count % asked:
            raise NoScoreError(
                f"{-images.count % asked} images are missing: there are {images.count}, and {prompts.name} has {asked} "
                "prompts",
                where=images.where,
                fix="draw equally many images of every prompt, in the order of the prompts",
            )
        self.images, self.prompts = images, prompts
        self.where, self.count, self.quantisation = images.where, images.count, images.quantisation
        self.labels = np.arange(images.count) % asked
        self.label_policy = "balanced"

    def parts(self) -> Iterator[Images]:
        """The images, as their folder or npz gives them."""
        return self.images.parts()


class LayoutImages:
    """GenEval's folders, prompt by prompt. Raises NoScoreError where images are missing."""

    def __init__(self, folder: Path) -> None:
        counts = Counter(path.parent for path in folder.glob("*/samples/*.png"))
        found = read_layout(folder, max(counts.values(), default=1))
        self.where, self.quantisation, self.label_policy = str(folder), QUANTISATION, "balanced"
        self.paths = [path for _, paths in found for path in paths]
        self.count = len(self.paths)
        self.labels = np.repeat(np.arange(len(found)), [len(paths) for _, paths in found])
        self.prompts = from_records("geneval", [record for record, _ in found], self.where)

    def parts(self) -> Iterator[Images]:
        """One image at a time: they may differ in size."""
        for path in self.paths:
            yield read_image(path)[None]


def is_layout(folder: Path) -> bool:
    """Whether a folder holds GenEval's."""
    return folder.is_dir() and any(folder.glob(f"[0-9]*/{METADATA}"))
