"""Whether what is installed is sound: packages, packaged files against their digests, extractors, device, room."""

from __future__ import annotations

import os
import platform
import shutil
import time
from collections.abc import Iterator
from importlib import metadata
from pathlib import Path
from typing import Any

from sgbench.base.errors import UserError
from sgbench.base.processor import automatic_dtype, processor_name, usable_cores
from sgbench.base.provenance import provenance
from sgbench.doctor.finding import Finding, note
from sgbench.files.digest import recorded_sha256, sha256_file

REINSTALL = "reinstall sgbench"
# Larger files of others are compared by the record beside them; reading them takes seconds each.
READ_BYTES = 200_000_000
PRODUCT = 768


def check_installation(results: Path, facts: dict[str, str]) -> Iterator[Finding]:
    """Findings of the installation; `facts` is filled with what it is like."""
    yield from _packages(facts)
    yield from _packaged_weights(facts)
    yield from _packaged_references()
    yield from _external(facts)
    from sgbench.doctor.golden import check_extractors

    yield from check_extractors(facts)
    _device(facts)
    made = provenance()
    state = "an installed package" if made["commit"] is None else f"commit {str(made['commit'])[:12]}"
    facts["sgbench"] = f"{made['sgbench']}, {state}{', with changes' if made['dirty'] else ''}"
    yield from _room(results, facts)


def _packages(facts: dict[str, str]) -> Iterator[Finding]:
    from packaging.requirements import Requirement

    found = [f"python {platform.python_version()}"]
    for line in metadata.requires("sgbench") or []:
        wanted = Requirement(line)
        if wanted.marker is not None and not wanted.marker.evaluate({"extra": ""}):
            continue
        try:
            version = metadata.version(wanted.name)
        except metadata.PackageNotFoundError:
            yield Finding(Path(wanted.name), "the package is not installed", f"pip install '{wanted}'")
            continue
        found.append(f"{wanted.name} {version}")
        if not wanted.specifier.contains(version, prereleases=True):
            yield Finding(Path(wanted.name), f"version {version} is not {wanted.specifier}", f"pip install '{wanted}'")
    facts["packages"] = ", ".join(found)


def _packaged_weights(facts: dict[str, str]) -> Iterator[Finding]:
    from sgbench.zoo import weights

    checked = 0
    for path in sorted(weights.FOLDER.glob("*.json")):
        try:
            files = weights.card(path.stem).get("files", {})
        except UserError as error:
            yield Finding(path, error.what, error.fix)
            continue
        for entry in files.values():
            checked += 1
            try:
                weights.read_verified(weights.FOLDER / entry["file"], entry["sha256"])
            except UserError as error:
                yield Finding(weights.FOLDER / entry["file"], error.what, error.fix)
    facts["packaged weights"] = f"{checked} files compared with the digests of their cards"


def _packaged_references() -> Iterator[Finding]:
    from sgbench.metrics.references.catalogue import CARD, PACKAGED, read_card
    from sgbench.metrics.references.load import packaged_folder

    for name in PACKAGED:
        folder = packaged_folder(name)
        try:
            parts: dict[str, Any] = read_card(folder)["parts"]
        except UserError as error:
            yield Finding(folder / CARD, error.what, REINSTALL)
            continue
        for part in parts.values():
            path = folder / part["file"]
            if not path.is_file() or sha256_file(path) != part["sha256"]:
                yield Finding(path, "the part of the reference is missing or damaged", REINSTALL)


def _external(facts: dict[str, str]) -> Iterator[Finding]:
    """Weights of metrics that are here: compared with their published digest, or with the record beside them."""
    from sgbench.metrics.weights import find, known

    here = []
    for entry in known().values():
        for file in entry.files if entry.name != "fashion-cnn" else ():
            path = find(entry.name, file)
            if path is None:
                continue
            here.append(file.file)
            again = f"delete it and run `sgbench weights fetch {entry.name}`" if not entry.packaged else REINSTALL
            recorded = recorded_sha256(path)
            if path.stat().st_size > READ_BYTES:
                if recorded is None or not recorded.startswith(file.sha256):
                    yield note(path, "it is large and was not read", f"run `sgbench weights verify {entry.name}`")
                continue
            found = sha256_file(path)
            if not found.startswith(file.sha256) or recorded not in (None, found):
                yield Finding(path, f"the file is damaged (sha256 {found[:12]})", again)
    facts["weights of metrics"] = ", ".join(here) or "none but the packaged ones"


def _device(facts: dict[str, str]) -> None:
    import torch

    facts["processor"] = f"{processor_name()}, {usable_cores()} cores, {torch.get_num_threads()} threads"
    devices = [torch.cuda.get_device_name(index) for index in range(torch.cuda.device_count())]
    facts["CUDA"] = ", ".join(devices) or "no device"
    seconds = {kind: _product_seconds(kind) for kind in (torch.float32, torch.bfloat16)}
    ratio = seconds[torch.float32] / seconds[torch.bfloat16]
    facts["dtype auto"] = f"{automatic_dtype()}; a product in bfloat16 takes 1/{ratio:.1f} of the time in float32"


def _product_seconds(kind: Any) -> float:
    import torch

    matrix = torch.ones(PRODUCT, PRODUCT, dtype=kind)
    best = float("inf")
    for _ in range(3):
        started = time.perf_counter()
        matrix @ matrix
        best = min(best, time.perf_counter() - started)
    return best


def _room(results: Path, facts: dict[str, str]) -> Iterator[Finding]:
    folder = next(p for p in (results.absolute(), *results.absolute().parents) if p.is_dir())
    told = shutil.disk_usage(folder)
    facts["room for results"] = f"{told.free / 2**30:.1f} of {told.total / 2**30:.1f} GiB free at {folder}"
    if not os.access(folder, os.W_OK):
        yield note(folder, "results cannot be written there", "choose another folder with --results, or mend it")
