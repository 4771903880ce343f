"""Open a reference by name or path: packaged, drawn, published, built, or made from images here."""

import hashlib
from pathlib import Path
from typing import Any

import numpy as np

from sgbench.base.errors import UserError
from sgbench.files.digest import sha256_file, sha256_of
from sgbench.images.files import read_array, read_header
from sgbench.images.sets import FolderImages, ImageSet, NpzImages, look
from sgbench.metrics.extractors import EXTRACTORS
from sgbench.metrics.numerics.frechet import Gaussian
from sgbench.metrics.references.catalogue import (
    CARD,
    DRAWN,
    HOME,
    PACKAGED,
    PUBLIC,
    check_name,
    folder,
    packaged_folder,
)
from sgbench.metrics.references.drawn import DrawnShapes
from sgbench.metrics.references.parts import pack, write_card, write_part
from sgbench.metrics.references.reference import Reference

# What ADM's npz stores: (part, mean, covariance).
STORED = (("inception-features", "mu", "sigma"), ("inception-spatial", "mu_s", "sigma_s"))


def load_reference(reference: str, where: str = "--reference") -> Reference:
    """A reference by name or path. Raises UserError when it is missing or cannot be read."""
    check_name(reference, where)
    if reference in PACKAGED:
        return Reference(packaged_folder(reference))
    if reference in DRAWN:
        return from_drawn(reference)
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
        return Reference(path)
    if path.is_dir():
        return from_folder(path)
    if path.suffix == ".npz" and path.is_file():
        return from_npz(path, path.stem)
    raise UserError(
        f"there is no reference at {reference}", where=where, fix="give a built reference, an npz or a folder of images"
    )


def from_npz(path: Path, name: str, out: Path | None = None) -> Reference:
    """ADM's npz: its stored moments where it has them, its images for everything else."""
    source = NpzImages(path) if read_header(path, "arr_0") else None
    stored = {key: (mean, cov) for key, mean, cov in STORED if read_header(path, mean) and read_header(path, cov)}
    if source is None and not stored:
        raise UserError(
            "the npz holds neither images (arr_0) nor moments (mu, sigma)", where=str(path), fix="give ADM's layout"
        )
    return _kept(path, name, sha256_of(path), source, stored, out)


def from_drawn(name: str, out: Path | None = None) -> Reference:
    """Scenes of shapes, drawn where features of them are needed."""
    source = DrawnShapes()
    return _kept(Path(name), name, source.sha256, source, {}, out)


def from_folder(path: Path, out: Path | None = None) -> Reference:
    """A folder of images; its digest is that of the files' contents, whatever their names."""
    source = FolderImages(path)
    digest = hashlib.sha256("".join(sorted(sha256_file(p) for p in source.paths)).encode()).hexdigest()
    return _kept(path, path.name, digest, source, {}, out)


def _kept(
    path: Path, name: str, digest: str, source: ImageSet | None, stored: dict[str, tuple[str, str]], out: Path | None
) -> Reference:
    """The reference in `out`, or kept under its digest, under its current name; made where there is none.

    Raises UserError for a folder with a reference of another source.
    """
    target = out or folder() / "kept" / digest[:16]
    if not (target / CARD).is_file():
        card = _card(name, digest, source, str(path))
        for key, (mean, covariance) in stored.items():
            moments = _moments(path, key, mean, covariance)
            arrays = {"mean": moments.mean, "covariance": pack(moments.covariance)}
            said = {"moments": "stored", "mean": "moments as stored in the file"}
            card["parts"][key] = {**write_part(target, key, arrays), **said}
        write_card(target, card)
    found = Reference(target, source)
    if found.sha256 != digest:
        raise UserError(
            f"the folder holds a reference of other images ({found.name})",
            where=str(target),
            fix="choose another folder with --out, or delete this one",
        )
    found.name = found.card["name"] = name
    return found


def _card(name: str, digest: str, source: ImageSet | None, where: str) -> dict[str, Any]:
    seen = look(source) if source is not None else None
    if seen is not None and seen.side[0] != seen.side[1]:
        raise UserError(
            f"the images are {seen.side[0]} x {seen.side[1]} pixels, and a reference needs square ones",
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


def _moments(path: Path, key: str, mean_name: str, covariance_name: str) -> Gaussian:
    """Moments as ADM stores them. Raises UserError for arrays that cannot be moments of that output."""
    mean, covariance = (_numbers(path, name) for name in (mean_name, covariance_name))
    extractor, output = key.rsplit("-", 1)
    width = EXTRACTORS[extractor].widths[output]
    problem = ""
    if mean.shape != (width,) or covariance.shape != (width, width):
        problem = (
            f"{mean_name} and {covariance_name} have shapes {mean.shape} and {covariance.shape}, and {output} of "
            f"{extractor} have {width} values"
        )
    elif not (np.isfinite(mean).all() and np.isfinite(covariance).all()):
        problem = f"{mean_name} or {covariance_name} has values that are not finite"
    elif not np.allclose(covariance, covariance.T, rtol=1e-6, atol=1e-9 * np.abs(covariance).max()):
        problem = f"{covariance_name} is not symmetric"
    elif np.linalg.eigvalsh(covariance)[0] < -1e-6 * np.trace(covariance):
        problem = f"{covariance_name} has negative variances"
    if problem:
        raise UserError(problem, where=str(path), fix="give moments as ADM stores them")
    return Gaussian(mean, covariance)


def _numbers(path: Path, name: str) -> np.ndarray[Any, np.dtype[np.float64]]:
    array = read_array(path, name)
    if not np.issubdtype(array.dtype, np.number):
        raise UserError(
            f"{name} holds {array.dtype}, not numbers", where=str(path), fix="give moments as ADM stores them"
        )
    return array.astype(np.float64)
