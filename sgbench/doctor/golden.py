"""The packaged extractors on recorded images: features must be those that were recorded, up to rounding.

`golden/extractors.safetensors` holds eight images of drawn shapes (uint8, n, H, W, C) and the features (n, D, float32)
of each extractor, as `tests/golden/record_extractors.py` recorded them.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from sgbench.base.errors import UserError
from sgbench.doctor.finding import Finding

FILE = Path(__file__).parent / "golden" / "extractors.safetensors"
EXTRACTORS = ("fashion-cnn", "lite0")
# Of the largest feature: processors and versions of torch sum in other orders.
TOLERANCE = 1e-3
CHANNELS = {"fashion-cnn": 1, "lite0": 3}


def check_extractors(facts: dict[str, str]) -> Iterator[Finding]:
    """Run each packaged extractor on the recorded images."""
    from safetensors import SafetensorError
    from safetensors.numpy import load_file

    try:
        recorded = load_file(FILE)
    except (OSError, SafetensorError):
        yield Finding(FILE, "the recorded features are missing or damaged", "reinstall sgbench")
        return
    told = []
    for name in EXTRACTORS:
        try:
            found = extract(name, recorded["images"])
        except UserError as error:
            yield Finding(Path(error.where), f"the extractor {name} does not run: {error.what}", error.fix)
            continue
        expected = recorded[name]
        difference = float(np.abs(found - expected).max() / np.abs(expected).max())
        told.append(f"{name} within {difference:.1e}")
        if not difference <= TOLERANCE:
            what = f"the features of {name} differ from the recorded ones by {difference:.1e} of the largest"
            yield Finding(FILE, what, "compare the versions of torch and numpy with those of a machine that agrees")
    facts["extractors on recorded images"] = ", ".join(told)


def extract(name: str, images: NDArray[np.uint8]) -> NDArray[np.float32]:
    """Features (n, D) of images uint8 (n, H, W, 3); of their green channel for an extractor of grey images."""
    import torch

    from sgbench.metrics.extract import load_extractor

    grey = CHANNELS[name] == 1
    loaded = load_extractor(name, torch.device("cpu"))
    found = loaded([images[..., 1:2] if grey else images], f"the recorded images, {name}")
    return np.asarray(found["features"], dtype=np.float32)
