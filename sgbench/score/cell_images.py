"""The images of a cell as a set to score, and what networks make of any set. No torch.

Of a cell it is kept shard by shard, with the digest of the shard, so it is made again for other images.
"""

from collections.abc import Callable, Iterable, Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sgbench.base.errors import NoScoreError
from sgbench.cells.cell import Cell
from sgbench.cells.prompts import load_prompts
from sgbench.cells.randomness import labels
from sgbench.images.files import Images
from sgbench.images.sets import ImageSet
from sgbench.metrics.references.reference import Load
from sgbench.metrics.weights import extractor_id
from sgbench.results.store import Store, shard_sizes

Labels = NDArray[np.int64]
Arrays = dict[str, NDArray[Any]]
Compute = Callable[[Iterable[Images], Labels | None], Arrays]
"""Images in parts, and their labels or prompt indices, to arrays with one row for each image."""


class IncompleteError(NoScoreError):
    """Images of a cell that are missing or damaged."""


class CellImages(ImageSet):
    """The first images of a cell in a results tree; labels are those that they were generated for.

    `keep` says whether what networks make of them is kept in the tree.
    """

    labels: NDArray[np.int64]

    def __init__(self, cell: Cell, store: Store, samples: int, keep: bool = True) -> None:
        self.cell, self.store, self.count, self.keep = cell, store, samples, keep
        self.where = f"{store.cell_folder(cell)} ({cell.describe()})"
        self.label_policy = cell.labels
        self.labels = self._labels(range(samples))
        self.prompts = load_prompts(cell.prompts) if cell.prompts else None

    def parts(self) -> Iterator[Images]:
        """The verified shards. Raises UserError where one is missing or damaged."""
        for number, count in shard_sizes(self.count):
            shard = self.store.read_shard(self.cell, number)
            if shard is None or len(shard.images) < count:
                raise self.incomplete()
            yield shard.images[:count]

    def outputs(self, name: str, compute: Compute) -> Arrays:
        """What `compute` makes of the images, kept as `name`. Raises IncompleteError where images are missing."""
        parts, first = [], 0
        for number, count in shard_sizes(self.count):

            def of_shard(images: Images, first: int = first) -> Arrays:
                # A shard may hold more images than are scored.
                return compute([images], self._labels(range(first, first + len(images))))

            found = shard_outputs(self.cell, self.store, number, name, of_shard)
            if found is None or len(next(iter(found.values()))) < count:
                raise self.incomplete()
            parts.append({key: array[:count] for key, array in found.items()})
            first += count
        return {key: np.concatenate([part[key] for part in parts]) for key in parts[0]}

    def incomplete(self) -> IncompleteError:
        """The error for missing images."""
        return IncompleteError(
            f"the first {self.count} images are not all there, or some are damaged",
            where=self.where,
            fix="run the suite again: only what is missing is made",
        )

    def _labels(self, indices: range) -> Labels:
        return labels(self.cell.seed, indices, self.cell.num_conditions, self.cell.labels)


def outputs(images: ImageSet, name: str, compute: Compute) -> Arrays:
    """What `compute` makes of a set, in order; of a cell it may be kept as `name`. Raises as `CellImages.outputs`."""
    if isinstance(images, CellImages) and images.keep:
        return images.outputs(name, compute)
    return compute(images.parts(), images.labels)


def features_of(extractor: str, images: ImageSet, load: Load) -> Arrays:
    """Outputs of an extractor for a set of images; it is loaded where they are not kept."""
    return outputs(images, _kept_as(extractor), lambda parts, _: load(extractor)(parts, images.where))


def shard_features(extractor: str, cell: Cell, number: int, store: Store, load: Load) -> Arrays | None:
    """Outputs of an extractor for a shard, as of `shard_outputs`."""
    where = f"{store.cell_folder(cell)} ({cell.describe()})"
    return shard_outputs(cell, store, number, _kept_as(extractor), lambda images: load(extractor)([images], where))


def shard_outputs(
    cell: Cell, store: Store, number: int, name: str, compute: Callable[[Images], Arrays]
) -> Arrays | None:
    """Outputs for all images of a shard, kept or made; None where the shard is missing or damaged."""
    noted = store.shard_sha256(cell, number)
    kept = None if noted is None else store.read_features(cell, name, number, noted)
    if kept is not None:
        return kept
    shard = store.read_shard(cell, number)
    if shard is None:
        return None
    made = compute(shard.images)
    store.write_features(cell, name, number, made, shard.notes["sha256"])
    return made


def _kept_as(extractor: str) -> str:
    return f"{extractor}-{extractor_id(extractor)}"
