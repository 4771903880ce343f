"""Record features of the packaged extractors, for `sgbench doctor`.

    python tests/golden/record_extractors.py

The images are the first eight training scenes of the drawn shapes with seed 0, rendered by this project; the features
are those of the extractors as they are installed. Record only where `pytest tests/metrics/test_extractors.py` passes.
"""

from __future__ import annotations

import numpy as np
from safetensors.numpy import save_file

from sgbench.doctor.installation import EXTRACTORS, FILE, extract
from sgbench.zoo.shapes.scenes import render, training_example

IMAGES = 8


def main() -> None:
    """Draw, extract, write."""
    images = np.ascontiguousarray(np.stack([render(training_example(0, index)[1]) for index in range(IMAGES)]))
    FILE.parent.mkdir(exist_ok=True)
    save_file({"images": images, **{name: extract(name, images) for name in EXTRACTORS}}, FILE)
    print(f"{FILE}: {FILE.stat().st_size} bytes, images {images.shape}")


if __name__ == "__main__":
    main()
