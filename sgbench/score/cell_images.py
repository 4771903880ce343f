"""The images of a cell as a set to score."""

from __future__ import annotations

from collections.abc import Iterator

from sgbench.base.errors import NoScoreError
from sgbench.cells.cell import Cell
from sgbench.cells.prompts import load_prompts
from sgbench.cells.randomness import labels
from sgbench.images.files import Images
from sgbench.images.sets import QUANTISATION
from sgbench.results.store import Store, shard_sizes


class IncompleteError(NoScoreError):
    """Images of a cell that are missing or damaged."""


class CellImages:
    """The first images of a cell in a results tree; labels are those that were asked for."""

    def __init__(self, cell: Cell, store: Store, samples: int) -> None:
        self.cell, self.store, self.count = cell, store, samples
        self.where = f"{store.cell_folder(cell)} ({cell.describe()})"
        self.quantisation = QUANTISATION
        self.label_policy: str = cell.labels
        self.labels = labels(cell.seed, range(samples), cell.num_conditions, cell.labels)
        self.prompts = load_prompts(cell.prompts) if cell.prompts else None

    def parts(self) -> Iterator[Images]:
        """The verified shards. Raises UserError where one is missing or damaged."""
        for number, count in shard_sizes(self.count):
            shard = self.store.read_shard(self.cell, number)
            if shard is None or len(shard.images) < count:
                raise self.incomplete()
            yield shard.images[:count]

    def incomplete(self) -> IncompleteError:
        """What to say where images are missing."""
        return IncompleteError(
            f"the first {self.count} images are not all there, or some are damaged",
            where=self.where,
            fix="run the suite again: only what is missing is made",
        )
