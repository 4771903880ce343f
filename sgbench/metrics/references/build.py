"""Build references: from a folder of images, from ADM's npz, and the packaged one from Fashion-MNIST."""

from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch

from sgbench.base.choices import unknown
from sgbench.base.errors import UserError
from sgbench.base.progress import Progress, Silent
from sgbench.base.registry import load_installed
from sgbench.base.user_code import is_reference
from sgbench.metrics.extract import load_extractor
from sgbench.metrics.extractors import EXTRACTORS
from sgbench.metrics.references.catalogue import DRAWN, HOME_PACKAGED, PACKAGED
from sgbench.metrics.references.load import from_drawn, from_folder, from_npz
from sgbench.metrics.references.parts import pack, quantise, write_card, write_part
from sgbench.metrics.references.reference import Reference, checked_moments, turns
from sgbench.metrics.weights import extractor_id
from sgbench.zoo import data

PART = 480
PACKAGED_IMAGES = 2000
FASHION = "fashion-mnist"


def build_reference(
    source: str, out: Path, extractors: list[str], data_folder: Path, device: torch.device, progress: Progress
) -> Reference:
    """Make a reference folder at `out`. Raises UserError for a source, extractor or folder that cannot be used.

    An extractor is a name, or `FILE.py:NAME` for a user's own.
    """
    load_installed()
    own = partial(EXTRACTORS.bring, folder=Path(), where="--extractors")
    extractors = [own(name) if is_reference(name) else name for name in extractors]
    known = [name for name, extractor in EXTRACTORS.items() if extractor.widths]
    for name in extractors:
        if name not in known:
            raise unknown("extractor", name, known, "--extractors")
    if source in PACKAGED:
        return build_fashion(*data.load(data_folder), out, extractors, device, progress)
    path = Path(source).expanduser()
    if source in DRAWN:
        made = from_drawn(source, out)
    elif path.is_dir():
        made = from_folder(path, out)
    elif path.suffix == ".npz" and path.is_file():
        made = from_npz(path, path.stem, out)
    else:
        raise UserError(
            "there is no such folder, npz or dataset",
            where=source,
            fix=f"give a folder of images, an npz in ADM's layout, or one of {', '.join([*PACKAGED, *DRAWN])}",
        )
    for name in extractors:
        output = next(iter(EXTRACTORS[name].widths))
        what = "features" if output == "features" else "mean"
        made.require(name, output, what, lambda extractor: load_extractor(extractor, device), progress)
    return made


def build_fashion(
    train: data.Split,
    held_out: data.Split,
    out: Path,
    extractors: list[str],
    device: torch.device,
    progress: Progress | None = None,
    packaged: bool = False,
) -> Reference:
    """Moments of the 60,000 training images and features of the 10,000 held-out ones, in each extractor.

    The classifier's part also holds the training images' features, for the memorisation check. For other extractors
    the packaged reference keeps 2,000 held-out images, balanced over classes, and moments in single precision, which
    changes no distance by 1e-8.
    """
    card: dict[str, Any] = {
        "name": FASHION,
        "home": HOME_PACKAGED,
        "what": "60,000 training and 10,000 held-out images",
        "images": len(train.images),
        "side": train.images.shape[1],
        "channels": 1,
        "quantisation": "uint8",
        "sha256": data.DIGEST,
        "parts": {},
    }
    for name in extractors:
        (progress or Silent()).say(f"{FASHION}: {name} of {len(train.images) + len(held_out.images)} images")
        loaded = load_extractor(name, device)
        features = loaded(_parts(train), FASHION)["features"]
        moments = checked_moments(features, FASHION)
        triangle = pack(moments.covariance)
        arrays: dict[str, Any] = {"mean": moments.mean, "covariance": triangle}
        if name == HOME_PACKAGED:
            arrays["training"], arrays["step"] = quantise(features)
        real = held_out
        if packaged and name != HOME_PACKAGED:
            kept = turns(held_out.labels)[:PACKAGED_IMAGES]
            real = data.Split(held_out.images[kept], held_out.labels[kept])
            arrays["covariance"] = triangle.astype(np.float32)
        arrays["features"] = loaded(_parts(real), FASHION)["features"]
        arrays["labels"] = real.labels.astype(np.uint8)
        card["parts"][f"{name}-features"] = {
            **write_part(out, f"{name}-features", arrays),
            "extractor_id": extractor_id(name),
            "mean": "60,000 training images",
            "features": f"{len(real.images):,} held-out images",
            "training": "60,000 training images",
        }
    write_card(out, card)
    return Reference(out)


def _parts(split: data.Split) -> Any:
    return (split.images[i : i + PART][..., None] for i in range(0, len(split.images), PART))
