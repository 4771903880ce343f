"""The name of a cell: a hash over what its images depend on, and nothing else.

Batch size, device, threads, paths and the number of images are left out: none of them changes image i.
A change of the fields or of their meaning needs a new VERSION; a golden test pins the ids of this one.
"""

import hashlib
import json
from typing import Any

from sgbench.base.errors import UserError
from sgbench.cells.cell import Cell
from sgbench.cells.prompts import prompts_sha256
from sgbench.guidance.settings import Guidance, Value, guidance_of, plain
from sgbench.models import catalogue
from sgbench.models.components import autoencoder_sha256, text_encoder_sha256
from sgbench.samplers.settings import Sampler

VERSION = 2


def cell_record(cell: Cell) -> dict[str, object]:
    """The cell as plain data, with the sha256 of every checkpoint it uses. Paths are left out."""
    model = catalogue.entry(cell.model)
    checkpoints = model.checkpoint_hashes(cell.guidance.rule)
    if cell.autoencoder:
        checkpoints["autoencoder"] = autoencoder_sha256(cell.autoencoder)
    if cell.text_encoder:
        checkpoints["text_encoder"] = text_encoder_sha256(cell.text_encoder)
    return {
        "version": VERSION,
        "model": model.identity,
        "checkpoints": checkpoints,
        "guidance": _not_neutral(cell.guidance, Guidance(cell.guidance.rule)),
        "sampler": _not_neutral(cell.sampler, Sampler(cell.sampler.name, 0)),
        "seed": cell.seed,
        "labels": cell.labels,
        "dtype": cell.dtype,
        **({} if cell.compile == "none" else {"compile": cell.compile}),
        **({} if not cell.prompts else {"prompts": prompts_sha256(cell.prompts)}),
        **({} if not cell.own else {"own": dict(cell.own)}),
    }


def _not_neutral(settings: Guidance | Sampler, neutral: Guidance | Sampler) -> dict[str, Any]:
    """The first field, which names the kind, and all that is not neutral: a setting added later renames no cell."""
    kind = settings._fields[0]
    own = {name: value for name, value in settings._asdict().items() if name == kind or value != getattr(neutral, name)}
    return {name: _plain(name, value) for name, value in own.items()}


def _plain(name: str, value: Any) -> object:
    match name:
        case "parameters":
            return plain_parameters(value)
        case "segments":
            return [_not_neutral(one, Guidance(one.rule)) for one in value]
        case _:
            return plain(value)


def plain_parameters(parameters: tuple[tuple[str, Value], ...]) -> dict[str, object]:
    """The parameters of a rule as JSON takes them."""
    return {name: plain(value) for name, value in parameters}


def cell_of(record: dict[str, Any]) -> Cell:
    """The cell that a record describes. Raises KeyError, TypeError or ValueError for any other record."""
    where = record.get("where", {})
    return Cell(
        where.get("model", record["model"]),
        guidance_of(record["guidance"]),
        Sampler(**record["sampler"]),
        record["seed"],
        record["labels"],
        record["dtype"],
        where.get("autoencoder", ""),
        record.get("compile", "none"),
        where.get("prompts", ""),
        where.get("text_encoder", ""),
        tuple(sorted(record.get("own", {}).items())),
    )


def record_with_paths(cell: Cell) -> dict[str, object]:
    """The record and, beside what the id is made of, where this machine has the weights."""
    record = cell_record(cell)
    if record["model"] == cell.model and not (cell.autoencoder or cell.prompts):
        return record
    texts = {key: getattr(cell, key) for key in ("prompts", "text_encoder") if getattr(cell, key)}
    return {**record, "where": {"model": cell.model, "autoencoder": cell.autoencoder, **texts}}


def cell_id(cell: Cell) -> str:
    """Sixteen hexadecimal digits of the record's sha256."""
    return record_id(cell_record(cell))


def record_id(record: dict[str, Any]) -> str:
    """The id that the content of a record gives, whether its weights are here or not; `where` counts not."""
    counted = {key: value for key, value in record.items() if key != "where"}
    canonical = json.dumps(counted, sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(canonical.encode()).hexdigest()[:16]


def named_cell(record: dict[str, Any] | None, name: str) -> Cell | None:
    """The cell that a record tells of, if that is the cell called `name`; None for whatever else the record holds."""
    try:
        cell = cell_of(record) if record else None
        return cell if cell is not None and cell_id(cell) == name else None
    except (KeyError, TypeError, ValueError, AttributeError, UserError):
        return None
