"""Whether the installation is sound: packages, packaged files, extractors on recorded images, device, disk space.

`golden/extractors.safetensors` holds eight images of shapes (uint8, n, H, W, C) and the features (n, D, float32) that
`tests/golden/record_extractors.py` recorded for each packaged extractor.
"""

import os
import platform
import shutil
import timeit
from collections.abc import Iterator
from importlib import metadata
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sgbench.base.errors import UserError
from sgbench.base.processor import automatic_dtype, processor_name, usable_cores
from sgbench.base.provenance import provenance
from sgbench.doctor.finding import Finding, note
from sgbench.files.digest import recorded_sha256, sha256_file

REINSTALL = "reinstall sgbench"
FILE = Path(__file__).parent / "golden" / "extractors.safetensors"
# The packaged extractors and the channels of the images that they take.
EXTRACTORS = {"fashion-cnn": 1, "lite0": 3}
# Of the largest feature: processors and versions of torch sum in different orders.
TOLERANCE = 1e-3
# Reading larger weights takes seconds each; their recorded digest is compared instead.
READ_BYTES = 200_000_000
# Rows and columns of the matrix that is multiplied to compare dtypes.
PRODUCT = 768


def check_installation(results: Path, facts: dict[str, str]) -> Iterator[Finding]:
    """Findings of the installation; facts about it are added to `facts`."""
    yield from _packages(facts)
    yield from _packaged_weights(facts)
    yield from _packaged_references()
    yield from _weights_of_metrics(facts)
    yield from check_extractors(facts)
    _device(facts)
    made = provenance()
    state = "an installed package" if made["commit"] is None else f"commit {str(made['commit'])[:12]}"
    facts["sgbench"] = f"{made['sgbench']}, {state}{', with changes' if made['dirty'] else ''}"
    yield from _disk_space(results, facts)


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
    from sgbench.metrics.references.catalogue import CARD, PACKAGED, packaged_folder, read_card

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


def _weights_of_metrics(facts: dict[str, str]) -> Iterator[Finding]:
    """The weights of metrics on this machine match their published digest, or their recorded one."""
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


def check_extractors(facts: dict[str, str]) -> Iterator[Finding]:
    """Run each packaged extractor on the recorded images and compare its features with the recorded ones."""
    from safetensors import SafetensorError
    from safetensors.numpy import load_file

    try:
        recorded = load_file(FILE)
    except (OSError, SafetensorError):
        yield Finding(FILE, "the recorded features are missing or damaged", REINSTALL)
        return
    differences = {}
    for name in EXTRACTORS:
        try:
            found = extract(name, recorded["images"])
        except UserError as error:
            yield Finding(Path(error.where), f"the extractor {name} does not run: {error.what}", error.fix)
            continue
        differences[name] = float(np.abs(found - recorded[name]).max() / np.abs(recorded[name]).max())
        if not differences[name] <= TOLERANCE:
            what = f"the features of {name} differ from the recorded ones by {differences[name]:.1e} of the largest"
            yield Finding(FILE, what, "compare the versions of torch and numpy with those of a machine that agrees")
    facts["extractors on recorded images"] = ", ".join(f"{name} within {d:.1e}" for name, d in differences.items())


def extract(name: str, images: NDArray[np.uint8]) -> NDArray[np.float32]:
    """Features (n, D) of images uint8 (n, H, W, 3); of their green channel for an extractor of grey images."""
    import torch

    from sgbench.metrics.extract import load_extractor

    given = images[..., 1:2] if EXTRACTORS[name] == 1 else images
    found = load_extractor(name, torch.device("cpu"))([given], f"the recorded images, {name}")
    return np.asarray(found["features"], dtype=np.float32)


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
    return min(timeit.repeat(lambda: matrix @ matrix, number=1, repeat=3))


def _disk_space(results: Path, facts: dict[str, str]) -> Iterator[Finding]:
    folder = next(p for p in (results.absolute(), *results.absolute().parents) if p.is_dir())
    disk = shutil.disk_usage(folder)
    facts["room for results"] = f"{disk.free / 2**30:.1f} of {disk.total / 2**30:.1f} GiB free at {folder}"
    if not os.access(folder, os.W_OK):
        fix = "choose another folder with --results, or fix its permissions"
        yield note(folder, "results cannot be written there", fix)
