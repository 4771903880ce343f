"""Lines of the document that `sgbench score IMAGES... --json` prints."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from sgbench.base.errors import UserError, plain
from sgbench.compare.lines import Line, Score, Source
from sgbench.metrics.catalogue import METRICS
from sgbench.metrics.protocols import from_record

FIX = "give what `sgbench score IMAGES... --json` printed, a folder of results, or a rows.csv"


class _Part(BaseModel):
    model_config = ConfigDict(strict=True, allow_inf_nan=False)


class _Score(_Part):
    value: float
    standard_error: float = Field(ge=0)
    replicates: list[float] = Field(min_length=2)
    protocol_id: str
    protocol: dict[str, Any] = {}


class _Set(_Part):
    images: str
    samples: int = Field(ge=1)
    images_sha256: str = ""
    cell: str = ""
    seed: int | None = None
    scores: dict[str, _Score]


class _Document(_Part):
    sets: list[_Set] = Field(min_length=1)


def document_source(path: Path) -> Source:
    """A line per set of images. Raises UserError for a file that holds anything else."""
    where = str(path)
    try:
        document = _Document.model_validate_json(path.read_bytes())
    except OSError as error:
        raise UserError(f"it cannot be read ({error.strerror})", where=where, fix=FIX) from error
    except ValidationError as error:
        place = ".".join(str(part) for part in error.errors()[0]["loc"])
        raise UserError(
            f"this is no document of scores ({f'{place}: ' if place else ''}{plain(error)})", where=where, fix=FIX
        ) from error
    names = [(one.images, one.samples) for one in document.sets]
    if len(set(names)) < len(names):
        raise UserError("a set of images is there twice", where=where, fix="score every set once")
    unknown = dict.fromkeys(metric for one in document.sets for metric in one.scores if metric not in METRICS)
    return Source(where, [_line(one) for one in document.sets], "", list(unknown))


def _line(one: _Set) -> Line:
    scores = {
        metric: Score(s.value, s.standard_error, tuple(s.replicates), s.protocol_id, from_record(s.protocol))
        for metric, s in one.scores.items()
        if metric in METRICS
    }
    name = " ".join(one.images.split())
    return Line(name, one.cell, one.samples, one.seed, (), (), scores, None, one.images_sha256)
