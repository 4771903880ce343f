"""The real images nearest to some generated ones, side by side: what a small distance to training looks like.

The packaged reference keeps features of its 60,000 training images in the order of `zoo.data.load`, so neighbours are
training images. Of other references only the real images are known, not what a model was trained on; neighbours are
then images of the reference. Distances are Euclidean, in the reference's home extractor.
"""

import functools
import io
import math
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
import yaml
from numpy.typing import NDArray
from PIL import Image
from PIL.PngImagePlugin import PngInfo

from sgbench.base.errors import UserError
from sgbench.base.progress import Progress
from sgbench.cells.cell import Cell
from sgbench.cells.identity import cell_id
from sgbench.images.files import Images, read_image
from sgbench.images.sets import FolderImages, ImageSet, Seen, check_against
from sgbench.metrics.extract import load_extractor
from sgbench.metrics.numerics.neighbours import Training, cloud, squared_distances
from sgbench.metrics.references.load import load_reference
from sgbench.metrics.references.reference import Load, Reference
from sgbench.results.store import Store
from sgbench.score.cell_images import CellImages, features_of
from sgbench.zoo import data as zoo_data

GAP_SHARE = 4
WHITE = 255
SHAPES = "shapes"
# The PNG keyword of the caption, which a report repeats.
SAYS = "Description"


class Nearest(NamedTuple):
    """For each image the indices of its neighbours among the real ones, nearest first, and their distances."""

    cell: str
    file: str
    extractor: str
    among: str
    usual: float | None
    """Mean distance of real held-out images to their nearest training image; None where there are none."""
    neighbours: list[list[int]]
    distances: list[list[float]]

    def describe(self) -> str:
        """The caption of the picture."""
        least = [line[0] for line in self.distances]
        count = len(self.distances[0])
        those = "the one nearest to it" if count == 1 else f"the {count} nearest to it, nearest first,"
        usual = "" if self.usual is None else f"; real images held out of training are {self.usual:.3f} away on average"
        return (
            f"The first {len(least)} generated images, to the right of each {those} of {self.among} by features of "
            f"{self.extractor}. The nearest are {min(least):.3f} to {max(least):.3f} away{usual}."
        )


class _Real(NamedTuple):
    """Real images to search: features (T, D), pixels by index, a description, features held out."""

    features: NDArray[np.floating]
    pixels: Callable[[list[int]], Images]
    what: str
    held_out: NDArray[np.floating] | None


def find_nearest(
    cell: Cell, store: Store, wanted: int, neighbours: int, data: Path | None, device: torch.device, progress: Progress
) -> Nearest:
    """Find the neighbours of a cell's first images and keep the picture as nearest.png.

    `data` holds the reference's images: fashion-mnist.npz (`data` by default), or what another reference was built
    from. Raises UserError where images, the reference, its images or weights are missing or do not match.
    """
    reference = load_reference(_reference_of(cell, store), str(store.folder / "suite.lock.yaml"))
    count = store.images_there(cell, wanted)
    images = CellImages(cell, store, count)
    generated = np.concatenate(list(images.parts()))
    seen = Seen("", (generated.shape[2], generated.shape[1]), generated.shape[3])
    check_against(seen, reference.side, reference.channels, reference.name, str(store.cell_folder(cell)))
    load = functools.cache(lambda name: load_extractor(name, device))
    packaged = reference.sha256 == zoo_data.DIGEST
    real = _training(reference, data) if packaged else _of_reference(reference, data, load, progress)
    features = features_of(reference.home, images, load)["features"]
    training = Training(real.features, device)
    places, distances = search(features, real.features, training, min(neighbours, len(real.features)))
    usual = None if real.held_out is None else float(training.distances(real.held_out).mean())
    pixels = real.pixels(places.reshape(-1).tolist()).reshape(*places.shape, *generated.shape[1:3], -1)
    found = Nearest(
        cell_id(cell),
        str(store.cell_folder(cell) / "nearest.png"),
        reference.home,
        real.what,
        usual,
        places.tolist(),
        [[round(float(d), 5) for d in line] for line in distances],
    )
    store.write_picture(cell, "nearest", picture(generated, pixels, found.describe()))
    return found


def search(
    features: NDArray[np.floating], real: NDArray[np.floating], training: Training, neighbours: int
) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
    """Indices (N, k) and distances (N, k) of the real images nearest to features (N, D), nearest first."""
    placed = cloud(features, training.centre)
    with torch.inference_mode():
        found = [
            block.topk(neighbours, largest=False).indices for _, _, block in squared_distances(placed, training.cloud)
        ]
    places = torch.cat(found).cpu().numpy()
    # Blocks are in single precision, too coarse for a copy of a real image.
    distances = np.linalg.norm(features[:, None].astype(np.float64) - real[places], axis=2)
    order = np.argsort(distances, axis=1, kind="stable")
    return np.take_along_axis(places, order, axis=1), np.take_along_axis(distances, order, axis=1)


def picture(generated: Images, neighbours: Images, says: str) -> bytes:
    """A PNG with a line per generated image (N, H, W, C): itself, a gap, then its neighbours (N, k, H, W, C).

    Lines fill columns from top to bottom, enough columns for the picture not to be much taller than wide.
    """
    channels = max(generated.shape[-1], neighbours.shape[-1])
    count, height, width = generated.shape[:3]
    own, near = (np.broadcast_to(part, (*part.shape[:-1], channels)) for part in (generated, neighbours))
    gap, margin = (
        np.full((count, height, wide, channels), WHITE, np.uint8) for wide in (max(2, width // GAP_SHARE), width)
    )
    lines = np.concatenate([own, gap, *np.moveaxis(near, 1, 0), margin], axis=2)
    wide = lines.shape[2]
    deep = math.ceil(count / math.ceil(math.sqrt(count * height / wide)))
    columns = math.ceil(count / deep)
    filled = np.full((columns * deep, *lines.shape[1:]), WHITE, np.uint8)
    filled[:count] = lines
    sheet = np.moveaxis(filled.reshape(columns, deep * height, wide, channels), 0, 1)
    sheet = sheet.reshape(deep * height, columns * wide, channels)[:, :-width]
    noted = PngInfo()
    noted.add_text(SAYS, says)
    buffer = io.BytesIO()
    Image.fromarray(sheet.squeeze(-1) if channels == 1 else sheet).save(buffer, "PNG", optimize=True, pnginfo=noted)
    return buffer.getvalue()


def _reference_of(cell: Cell, store: Store) -> str:
    """The reference of a cell's suite. Raises UserError where it has none or is not recorded."""
    path = store.folder / "suite.lock.yaml"
    try:
        reference = str(yaml.safe_load(path.read_text())["suite"]["reference"])
    except (OSError, ValueError, KeyError, TypeError, yaml.YAMLError) as error:
        raise UserError(
            "the reference of the cell's suite is not recorded there", where=str(path), fix="run the suite again"
        ) from error
    if not reference:
        endless = " (the model was trained on drawings generated at every step and not kept)"
        raise UserError(
            f"the suite has no reference, so there are no real images to search{endless * (cell.model == SHAPES)}",
            where=str(store.cell_folder(cell)),
            fix="choose a cell of a suite with a reference",
        )
    return reference


def _training(reference: Reference, data: Path | None) -> _Real:
    """The 60,000 training images of Fashion-MNIST, whose features the reference keeps in their order."""
    home = reference.home
    reference.require(home, "features", "training")
    train, _ = zoo_data.load(data or Path("data"))
    return _Real(
        reference.training(home, "features"),
        lambda places: train.images[places][..., None],
        f"{len(train.images):,} training images of {reference.name}",
        reference.features(home, "features"),
    )


def _of_reference(reference: Reference, data: Path | None, load: Load, progress: Progress) -> _Real:
    """The images that a reference was made from, and their features in the same order."""
    if data is not None:
        made = load_reference(str(data), "--data")
        reference.source = made.source if made.sha256 == reference.sha256 else None
    source = reference.source
    if source is None:
        what = f"the reference {reference.name} keeps features of its images, not the images"
        if data is not None:
            what = f"these are not the images that the reference {reference.name} was made from"
        raise UserError(
            what,
            where=str(data or reference.folder),
            fix="give the folder or npz that it was built from with --data",
        )
    reference.require(reference.home, "features", "features", load, progress)
    features = reference.features(reference.home, "features")
    among = f"{source.count:,} images of the reference {reference.name}"
    return _Real(features, lambda places: _pick(source, places), among, None)


def _pick(source: ImageSet, places: list[int]) -> Images:
    """The images (n, H, W, C) at some indices of a set, without keeping the others."""
    if isinstance(source, FolderImages):
        return np.stack([read_image(source.paths[place]) for place in places])
    wanted, kept, start = set(places), {}, 0
    for part in source.parts():
        kept.update({place: part[place - start].copy() for place in wanted if start <= place < start + len(part)})
        start += len(part)
    return np.stack([kept[place] for place in places])
