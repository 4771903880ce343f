"""A finished results tree of many cells, written through the store without drawing or scoring anything."""

from __future__ import annotations

import hashlib
import io
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from sgbench import api
from sgbench.base.provenance import provenance
from sgbench.cells.cell import Cell
from sgbench.cells.closed_form import image_macs
from sgbench.metrics.extractors import EXTRACTORS
from sgbench.metrics.protocols import Protocol
from sgbench.metrics.weights import extractor_id
from sgbench.results.store import Store
from sgbench.score.protocols import suite_protocols
from sgbench.score.rows import build_rows
from sgbench.suite.sweep import expand

EXTRACTOR = "fashion-cnn"
SIDE = 32
GROUPS = 20
DEVICE = {"type": "cpu", "name": "drawn by a generator", "threads": 1}


def write_tree(path: Path, results: Path) -> int:
    """Write images, features, scores, costs, pictures and rows of every cell of a suite; how many cells there are."""
    suite = api.load_suite(path)
    cells = expand(suite)
    store = Store(results, suite.suite)
    protocols = suite_protocols(suite)
    generator = np.random.Generator(np.random.PCG64(0))
    picture = _picture()
    features = f"{EXTRACTOR}-{extractor_id(EXTRACTOR)}"
    store.write_lock(suite, cells)
    for cell in cells:
        store.write_cell(cell)
        images = generator.integers(0, 256, (suite.samples, SIDE, SIDE, 1), dtype=np.uint8)
        batch = {"images": suite.samples, "seconds": 1.0, "decode_seconds": 0.0, "device": DEVICE}
        notes = {"batches": [batch], "peak_bytes": None, "joules": None, "joules_images": suite.samples}
        store.write_shard(cell, 0, images, notes)
        sha256 = store.shard_sha256(cell, 0)
        assert sha256 is not None
        widths = EXTRACTORS[EXTRACTOR].widths
        arrays = {
            name: generator.standard_normal((suite.samples, width), dtype=np.float32) for name, width in widths.items()
        }
        store.write_features(cell, features, 0, arrays, sha256)
        seen = hashlib.sha256(images.data).hexdigest()
        scores = {"images_sha256": seen} | {m: _score(protocol, generator) for m, protocol in protocols.items()}
        store.write_record(cell, "scores", {str(suite.samples): scores})
        store.write_record(cell, "cost", _cost(cell, suite.samples))
        store.write_picture(cell, "gallery", picture)
    store.write_rows(build_rows(cells, store))
    store.write_protocols({p.id: p._asdict() for p in protocols.values()})
    return len(cells)


def _score(protocol: Protocol, generator: np.random.Generator) -> dict[str, Any]:
    replicates = generator.standard_normal(GROUPS)
    found = {"value": 1.0, "standard_error": 0.1, "corrected": 1.0, "replicates": replicates.tolist()}
    floor = {"floor": 0.1, "floor_sd": None} if protocol.metric == "fd" else {}
    return {**found, **floor, "protocol_id": protocol.id, "protocol": protocol._asdict()}


def _cost(cell: Cell, samples: int) -> dict[str, Any]:
    macs = image_macs(cell)
    return {
        "macs_per_image": macs.macs,
        "paper_per_image": macs.paper,
        "steps": cell.sampler.steps,
        "images": samples,
        "measured": {
            "seconds_per_image": {"median": 0.05, "lower_quartile": 0.05, "upper_quartile": 0.05},
            "images_per_second": 20.0,
            "batch": samples,
            "peak_bytes": None,
            "joules_per_image": None,
            "device": DEVICE,
            "other_devices": 0,
        },
        "made_by": provenance(),
    }


def _picture() -> bytes:
    buffer = io.BytesIO()
    Image.fromarray(np.zeros((2 * SIDE, 10 * SIDE), dtype=np.uint8)).save(buffer, "PNG")
    return buffer.getvalue()
