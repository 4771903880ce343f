"""Open the reference that a name or a path means: packaged, published, built, or made of images here."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Any

import numpy as np

from sgbench.errors import UserError
from sgbench.models.digest import sha256_file, sha256_of
from sgbench.score.images import FolderImages, ImageSet, NpzImages, look, read_array, read_header
from sgbench.score.reference import Reference, open_reference
from sgbench.score.reference_catalogue import CARD, HOME, PACKAGED, PUBLIC, check_name, folder
from sgbench.score.reference_parts import pack, write_card, write_part
from sgbench.zoo import weights as zoo

# What ADM's npz stores: (part, mean, covariance).
STORED = (("inception-features", "mu", "sigma"), ("inception-spatial", "mu_s", "sigma_s"))


def load_reference(reference: str, where: str = "--reference") -> Reference:
    """The reference that a name or a path means. Raises UserError when it is not there or cannot be read."""
    check_name(reference, where)
    if reference in PACKAGED:
        return open_reference(packaged_folder(reference))
    if reference in PUBLIC:
        public = PUBLIC[reference]
        if not public.path.is_file():
            raise UserError(
                f"the reference {reference} is not on this machine (looked for {public.path})",
                where=where,
                fix=f"run `sgbench reference fetch {reference}`",
            )
        return from_npz(public.path, reference)
    path = Path(reference).expanduser()
    if (path / CARD).is_file():
        return open_reference(path)
    if path.is_dir():
        return from_folder(path)
    if path.suffix == ".npz" and path.is_file():
        return from_npz(path, path.stem)
    raise UserError(
        f"there is no reference at {reference}", where=where, fix="give a built reference, an npz or a folder of images"
    )


def packaged_folder(reference: str = "fashion-mnist") -> Path:
    """Where a packaged reference lies."""
    return zoo.FOLDER.parent / "references" / reference


def from_npz(path: Path, name: str, out: Path | None = None) -> Reference:
    """ADM's npz as it is: stored moments where it has them, its images for everything else."""
    digest = sha256_of(path)
    target = out or folder() / "kept" / digest[:16]
    source = NpzImages(path) if read_header(path, "arr_0") else None
    if (target / CARD).is_file():
        return open_reference(target, source)
    stored = {key: (mean, cov) for key, mean, cov in STORED if read_header(path, mean) and read_header(path, cov)}
    if source is None and not stored:
        raise UserError(
            "the npz holds neither images (arr_0) nor moments (mu, sigma)", where=str(path), fix="give ADM's layout"
        )
    card = _card(name, digest, source, str(path))
    for key, (mean, covariance) in stored.items():
        arrays = {"mean": _moment(path, mean, 1), "covariance": pack(_moment(path, covariance, 2))}
        card["parts"][key] = {**write_part(target, key, arrays), "mean": "moments as stored in the file"}
    write_card(target, card)
    return open_reference(target, source)


def from_folder(path: Path, out: Path | None = None) -> Reference:
    """A folder of images; its digest is that of the files' contents, whatever their names."""
    source = FolderImages(path)
    digest = hashlib.sha256("".join(sorted(sha256_file(p) for p in source.paths)).encode()).hexdigest()
    target = out or folder() / "kept" / digest[:16]
    if not (target / CARD).is_file():
        write_card(target, _card(path.name, digest, source, str(path)))
    return open_reference(target, source)


def _card(name: str, digest: str, source: ImageSet | None, where: str) -> dict[str, Any]:
    seen = look(source) if source is not None else None
    if seen is not None and seen.side[0] != seen.side[1]:
        raise UserError(
            f"the images are {seen.side[0]} x {seen.side[1]} pixels, and square ones are wanted",
            where=where,
            fix="crop them as the protocol of your comparison says",
        )
    count = source.count if source is not None else 0
    return {
        "name": name,
        "home": HOME,
        "what": f"{count:,} images",
        "images": count,
        "side": None if seen is None else seen.side[0],
        "channels": None if seen is None else seen.channels,
        "quantisation": None if source is None else source.quantisation,
        "sha256": digest,
        "parts": {},
    }


def _moment(path: Path, name: str, dimensions: int) -> np.ndarray[Any, np.dtype[np.float64]]:
    array = read_array(path, name).astype(np.float64)
    if array.ndim != dimensions or len(set(array.shape)) != 1 or not np.isfinite(array).all():
        raise UserError(
            f"{name} has shape {array.shape}" + ("" if np.isfinite(array).all() else " and values that are not finite"),
            where=str(path),
            fix="give moments as ADM stores them",
        )
    return array
