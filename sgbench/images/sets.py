"""Images to score, whatever made them: a folder, an npz in ADM's layout, or a cell.

All are sets of uint8 images of one size and one kind of colour, read in parts. Anything else is refused with the name
of the file: nothing is resized, flattened or skipped.
"""

import hashlib
import zipfile
import zlib
from abc import ABC, abstractmethod
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from sgbench.base.errors import NoScoreError, UserError
from sgbench.cells.prompts import PromptSet
from sgbench.images.files import (
    MOST_PIXELS,
    Images,
    damaged,
    files_below,
    header_of,
    natural,
    read_array,
    read_header,
    read_image,
)

QUANTISATION = "uint8, lossless"
SUFFIXES = (".png", ".jpg", ".jpeg", ".webp")
LOSSY = {".jpg": "jpg", ".jpeg": "jpg", ".webp": "webp"}
# Images of other formats, which must not be left out silently.
OTHER_SUFFIXES = (".bmp", ".tif", ".tiff", ".gif", ".ppm", ".pgm", ".jp2", ".avif", ".heic", ".npy")
PART, PART_BYTES = 480, 1 << 28


class ImageSet(ABC):
    """A set of images in a fixed order."""

    where: str
    count: int
    quantisation: str = QUANTISATION
    label_policy: str = "unknown"
    labels: NDArray[np.int64] | None = None
    """The class or prompt that each image (N,) was generated for, where it is known."""
    prompts: PromptSet | None = None
    """The prompts that `labels` index, for images generated from prompts."""

    @abstractmethod
    def parts(self) -> Iterator[Images]:
        """The images uint8 (n, H, W, C), C 1 or 3, in parts of any size."""


class Seen(NamedTuple):
    """Results of one pass over a set: the sha256 of all its pixels, width and height, channels."""

    sha256: str
    side: tuple[int, int]
    channels: int


def look(images: ImageSet) -> Seen:
    """Read a set that is to be scored. Raises NoScoreError for fewer than two images, and if all pixels are equal."""
    if images.count < 2:
        what = f"there {'is one image' if images.count else 'are no images'}, and scores need a set"
        raise NoScoreError(what, where=images.where, fix="give at least 20")
    seen, low, high = scan(images)
    if low == high:
        what = f"every pixel of all {images.count} images is {low}: the images are blank"
        raise NoScoreError(what, where=images.where, fix="look at the images before scoring them")
    return seen


def scan(images: ImageSet) -> tuple[Seen, int, int]:
    """Read a set once; also its lowest and highest value."""
    state = hashlib.sha256()
    low, high, shape = 255, 0, (0, 0, 0)
    for part in images.parts():
        state.update(np.ascontiguousarray(part).data)
        low, high, shape = min(low, int(part.min())), max(high, int(part.max())), part.shape[1:]
    return Seen(state.hexdigest(), (shape[1], shape[0]), shape[2]), low, high


class ImageSetInfo(NamedTuple):
    """What protocols need to know of a set of images, and its labels."""

    where: str
    samples: int
    label_policy: str
    quantisation: str
    labels: NDArray[np.int64] | None
    prompts: PromptSet | None = None


def info_of(images: ImageSet, labels: str | None = None) -> ImageSetInfo:
    """The facts of a set; `labels` is the label policy of one that comes without labels."""
    policy = labels if labels is not None and images.label_policy == "unknown" else images.label_policy
    return ImageSetInfo(images.where, images.count, policy, images.quantisation, images.labels, images.prompts)


def check_against(seen: Seen, side: int | None, channels: int | None, reference: str, where: str) -> None:
    """Raise NoScoreError unless images have the size and the kind of colour of a reference's."""
    theirs = f"those of the reference {reference}"
    if side is not None and seen.side != (side, side):
        what = f"the images are {seen.side[0]} x {seen.side[1]} pixels, and {theirs} {side} x {side}"
        fix = "resize them yourself, as the protocol of your comparison says, or choose another reference"
        raise NoScoreError(what, where=where, fix=fix)
    if seen.channels == 1 and channels == 3:
        fix = "choose a grey reference, or convert them to RGB if that is what you mean to compare"
        raise NoScoreError(f"the images are grey, and {theirs} in colour", where=where, fix=fix)


class FolderImages(ImageSet):
    """Every png, jpg and webp below a folder, in natural order of their paths (img2 before img10).

    Links are followed; files and folders whose names begin with a dot are ignored.
    """

    def __init__(self, folder: Path) -> None:
        found = files_below(folder)
        odd = [p for p in found if p.suffix.lower() in OTHER_SUFFIXES]
        if odd:
            what = f"the folder also holds {odd[0].suffix} files, which are not read ({len(odd)} of them)"
            fix = f"convert them to png or move them away: what is scored is every {', '.join(SUFFIXES)} file"
            raise UserError(what, where=str(odd[0]), fix=fix)
        found = [p for p in found if p.suffix.lower() in SUFFIXES]
        self.paths = sorted(found, key=lambda p: natural(p.relative_to(folder).as_posix()))
        self.where, self.count = str(folder), len(self.paths)
        lossy = sorted({LOSSY[p.suffix.lower()] for p in self.paths if p.suffix.lower() in LOSSY})
        if lossy:
            self.quantisation = f"uint8, read from {' and '.join(lossy)}"
        if not self.paths:
            fix = f"put {', '.join(SUFFIXES)} files into it"
            raise UserError("there are no images in the folder", where=self.where, fix=fix)

    def parts(self) -> Iterator[Images]:
        """The decoded images. Raises UserError naming the first file that cannot be used."""
        first: tuple[Path, tuple[int, ...]] | None = None
        for start in range(0, self.count, PART):
            part = []
            for path in self.paths[start : start + PART]:
                image = read_image(path)
                first = first or (path, image.shape)
                if image.shape != first[1]:
                    what = f"the image is {_kind(image.shape)}, and {first[0].name} is {_kind(first[1])}"
                    raise UserError(what, where=str(path), fix="score images of one size and one kind of colour")
                part.append(image)
            yield np.stack(part)


class NpzImages(ImageSet):
    """An npz in ADM's layout: `arr_0` uint8 (N, H, W, C), and `arr_1` labels where there are any."""

    def __init__(self, path: Path) -> None:
        self.path, self.where = path, str(path)
        header = read_header(path, "arr_0")
        if header is None:
            raise UserError("there is no array arr_0 in the file", where=self.where, fix="write ADM's layout")
        shape, kind, by_columns = header
        has_images = len(shape) == 4 and shape[3] in (1, 3) and min(shape[1:]) >= 1 and shape[0] >= 0
        if kind != np.uint8 or not has_images or by_columns:
            given = f"{kind} of shape {shape}{', stored by columns' if by_columns else ''}"
            what = f"arr_0 is {given}, and ADM's layout is uint8 (N, height, width, 3)"
            fix = "write the images as uint8, rounded and clamped; values that are not finite have no place there"
            raise UserError(what, where=self.where, fix=fix)
        if shape[1] * shape[2] > MOST_PIXELS:
            what = f"an image of arr_0 has {shape[2]} x {shape[1]} pixels, and {MOST_PIXELS:,} are the most"
            raise UserError(what, where=self.where, fix="give smaller images")
        self.count, self.shape = shape[0], shape[1:]
        if read_header(path, "arr_1"):
            labels = read_array(path, "arr_1")
            if labels.shape != (self.count,) or not np.issubdtype(labels.dtype, np.integer):
                what = f"arr_1 is {labels.dtype} of shape {labels.shape}, and there are {self.count} images"
                raise UserError(what, where=self.where, fix="give one whole number per image, or leave it out")
            self.labels = labels.astype(np.int64)
            self.label_policy = policy_of(self.labels)

    def parts(self) -> Iterator[Images]:
        """The images, a few hundred at a time: the whole file may be larger than the memory."""
        size = int(np.prod(self.shape))
        try:
            with zipfile.ZipFile(self.path) as archive, archive.open("arr_0.npy") as stream:
                header_of(stream)
                part = max(1, min(PART, PART_BYTES // size))
                for start in range(0, self.count, part):
                    count = min(part, self.count - start)
                    payload = stream.read(count * size)
                    if len(payload) < count * size:
                        raise EOFError(f"it ends after {start + len(payload) // size} of {self.count} images")
                    yield np.frombuffer(payload, np.uint8).reshape(count, *self.shape)
                # At the end of the array the archive compares its checksum.
                stream.read(1)
        except (OSError, EOFError, zipfile.BadZipFile, zlib.error) as error:
            raise damaged(self.path, error) from error


def policy_of(labels: NDArray[np.int64]) -> str:
    """The label policy of labels: `balanced` if the numbers of images per class differ by at most one."""
    counts = np.unique(labels, return_counts=True)[1] if len(labels) else np.zeros(1)
    return "balanced" if counts.max() - counts.min() <= 1 and len(counts) > 1 else "random"


def open_images(path: Path) -> FolderImages | NpzImages:
    """A folder or an npz. Raises UserError for anything else."""
    if path.is_dir():
        return FolderImages(path)
    if path.suffix == ".npz" and path.is_file():
        return NpzImages(path)
    fix = "give a folder of png, jpg or webp files, an npz in ADM's layout, or the folder of a cell"
    raise UserError("there is no such folder or npz of images", where=str(path), fix=fix)


def _kind(shape: tuple[int, ...]) -> str:
    return f"{shape[1]} x {shape[0]} {'grey' if shape[2] == 1 else 'RGB'}"
