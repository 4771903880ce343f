"""The name of a cell: a hash over what its images depend on, and nothing else.

Batch size, device, threads, paths and the number of images are left out: none of them changes image i.
A change of the fields or of their meaning needs a new VERSION; a golden test pins the ids of this one.
"""

from __future__ import annotations

import hashlib
import json
from typing import Any

from sgbench.models import catalogue
from sgbench.models.autoencoder_files import autoencoder_sha256
from sgbench.suite.cell import Cell, Guidance, Sampler

VERSION = 1


def cell_record(cell: Cell) -> dict[str, object]:
    """The cell as plain data, with the sha256 of every checkpoint it uses. Paths are left out."""
    model = catalogue.entry(cell.model)
    checkpoints = model.checkpoint_hashes(cell.guidance.rule)
    if cell.autoencoder:
        checkpoints["autoencoder"] = autoencoder_sha256(cell.autoencoder)
    return {
        "version": VERSION,
        "model": model.identity,
        "checkpoints": checkpoints,
        "guidance": cell.guidance._asdict(),
        "sampler": cell.sampler._asdict(),
        "seed": cell.seed,
        "labels": cell.labels,
        "dtype": cell.dtype,
    }


def cell_of(record: dict[str, Any]) -> Cell:
    """The cell that a record tells of. Raises KeyError or TypeError for a record of another make."""
    where = record.get("where", {})
    return Cell(
        where.get("model", record["model"]),
        Guidance(**record["guidance"]),
        Sampler(**record["sampler"]),
        record["seed"],
        record["labels"],
        record["dtype"],
        where.get("autoencoder", ""),
    )


def located(cell: Cell) -> dict[str, object]:
    """The record and, beside what the id is made of, where this machine has the weights."""
    record = cell_record(cell)
    if record["model"] == cell.model and not cell.autoencoder:
        return record
    return {**record, "where": {"model": cell.model, "autoencoder": cell.autoencoder}}


def cell_id(cell: Cell) -> str:
    """Sixteen hexadecimal digits of the record's sha256."""
    canonical = json.dumps(cell_record(cell), sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(canonical.encode()).hexdigest()[:16]
