"""Weights that metrics need: where each file is looked for, and whether its digest is right. No torch, no network.

A file is looked for in the project's folder first ($SGBENCH_WEIGHTS, or `metrics` in the models folder), then where the
libraries keep their own copies. Only `sgbench weights fetch` downloads anything.
"""

import hashlib
import importlib.util
import os
from collections.abc import Sequence
from pathlib import Path

from sgbench.base.choices import unknown
from sgbench.base.errors import UserError
from sgbench.files.digest import require_recorded, sha256_file, sha256_of
from sgbench.files.location import hub_cache, models_folder
from sgbench.metrics.extractors import EXTRACTORS
from sgbench.metrics.instrument import Extractor, Instrument, Judge, WeightFile, Weights
from sgbench.metrics.judges.catalogue import JUDGES
from sgbench.zoo import weights as zoo

ZOO = "this package"


def instrument_named(name: str, where: str = "extractor") -> Instrument:
    """An extractor or a judge by its name. Raises UserError with the nearest name where there is none."""
    found = EXTRACTORS.get(name) or JUDGES.get(name)
    if found is None:
        raise unknown("extractor or judge", name, [*EXTRACTORS, *JUDGES], where)
    return found


def known() -> dict[str, Weights]:
    """Every entry by name, packaged ones first."""
    entries = {e.name: e for one in (*EXTRACTORS.values(), *JUDGES.values()) for e in one.weights}
    return {e.name: _with_files(e) for e in sorted(entries.values(), key=lambda e: not e.packaged)}


def _with_files(entry: Weights) -> Weights:
    if entry.files:
        return entry
    noted = zoo.card(entry.name)["files"]["final"]
    return entry._replace(files=(WeightFile(noted["file"], ZOO, "Apache-2.0", noted["bytes"], noted["sha256"]),))


def folder() -> Path:
    """Where files are fetched to and looked for first: $SGBENCH_WEIGHTS, or `metrics` in the models folder."""
    return Path(os.environ.get("SGBENCH_WEIGHTS") or models_folder() / "metrics")


def fetched_path(name: str, file: WeightFile) -> Path:
    """Where `sgbench weights fetch` puts a file."""
    return folder() / name / file.file


def places(name: str, file: WeightFile) -> list[Path]:
    """Where a file is looked for, in this order; snapshots of the hub's cache only where they exist."""
    if file.source == ZOO:
        return [zoo.FOLDER / file.file]
    found = [fetched_path(name, file), folder() / file.file]
    if file.source.startswith("hf://"):
        owner, repository = file.source.removeprefix("hf://").split("/")[:2]
        snapshots = Path(hub_cache()) / f"models--{owner}--{repository}" / "snapshots"
        return found + sorted(snapshots.glob(f"*/{file.file}"))
    if file.source.startswith("package "):
        spec = importlib.util.find_spec(file.source.split()[1].replace("-", "_"))
        installed = (spec.submodule_search_locations if spec else None) or []
        return found + [Path(path) / "models" / file.file for path in installed]
    torch_home = Path(os.environ.get("TORCH_HOME") or Path.home() / ".cache" / "torch")
    return [*found, torch_home / "hub" / "checkpoints" / file.file]


def find(name: str, file: WeightFile) -> Path | None:
    """The first place that holds the file, not verified."""
    return next((path for path in places(name, file) if path.is_file()), None)


def require(name: str) -> list[Path]:
    """The verified files of an entry, in order. Raises UserError when one is missing or has another digest."""
    entry = known()[name]
    return [_verified(entry, file) for file in entry.files]


def to_load(instrument: Instrument) -> list[Path]:
    """The verified files that an extractor or a judge is loaded from, in order.

    Their digests are computed again, whatever is recorded next to the files. Raises UserError as `require`.
    """
    paths = [path for entry in instrument.weights for path in require(entry.name)]
    for path in paths:
        require_recorded(path)
    return paths + _own_files(instrument)


def digest(name: str) -> str:
    """The sha256 that stands in protocols: of the file, or of the digests of several. Raises UserError as `require`."""
    return _combined([_sha256(known()[name], path) for path in require(name)])


def extractor_digest(extractor: str) -> str:
    """The digest of the weights of an extractor or a judge, or of the rules of a judge that has none.

    With the code, for a user's extractor. Raises UserError where weights are missing or damaged.
    """
    instrument = instrument_named(extractor)
    if isinstance(instrument, Judge) and instrument.rules_sha256 is not None:
        return instrument.rules_sha256()
    if isinstance(instrument, Extractor) and EXTRACTORS.origin(extractor).closed:
        return instrument.digest
    code = EXTRACTORS.origin(extractor).sha256
    files = [sha256_file(path) for path in _own_files(instrument)]
    return _combined([*([code] if code else []), *(digest(entry.name) for entry in instrument.weights), *files])


def extractor_id(extractor: str) -> str:
    """What features depend on besides the images: weights and preprocessing. 16 hexadecimal digits."""
    text = f"{extractor_digest(extractor)} {instrument_named(extractor).inputs}"
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def _own_files(instrument: Instrument) -> list[Path]:
    """The weight files of a user's extractor, beside its code. Raises UserError where one is missing."""
    if not isinstance(instrument, Extractor):
        return []
    origin = EXTRACTORS.origin(instrument.name)
    folder = origin.files[0].parent if origin.files else Path()
    paths = [folder / Path(file).expanduser() for file in instrument.files]
    for path in paths:
        if not path.is_file():
            raise UserError(
                f"the extractor {instrument.name} has no file {path}",
                where=origin.text,
                fix="put it there, or correct `files`, which are relative to the folder of the code",
            )
    return paths


def _combined(digests: Sequence[str]) -> str:
    return digests[0] if len(digests) == 1 else hashlib.sha256("".join(digests).encode()).hexdigest()


def _sha256(entry: Weights, path: Path) -> str:
    """Packaged files are small and hashed every time; the digest of others is recorded next to them."""
    return sha256_file(path) if entry.packaged else sha256_of(path)


def _verified(entry: Weights, file: WeightFile) -> Path:
    path, fetch = find(entry.name, file), f"run `sgbench weights fetch {entry.name}`"
    if path is None:
        looked = ", ".join(str(p.parent) for p in places(entry.name, file))
        raise UserError(
            f"the weights of {entry.name} are missing (looked for {file.file} in {looked})",
            where=f"weights {entry.name}",
            fix="reinstall sgbench" if entry.packaged else fetch,
        )
    found = _sha256(entry, path)
    if not found.startswith(file.sha256):
        raise UserError(
            f"the file is not {file.file} (sha256 {found[:12]}, expected {file.sha256[:12]})",
            where=str(path),
            fix="reinstall sgbench" if entry.packaged else f"delete it and {fetch}",
        )
    return path
