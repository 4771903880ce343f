"""What is compared: one line per cell and number of images, or per set of anybody's images."""

from __future__ import annotations

from typing import NamedTuple

from sgbench.metrics.protocols import Protocol


class Score(NamedTuple):
    """A value with its standard error, its jackknife replicates and what it means."""

    value: float
    standard_error: float
    replicates: tuple[float, ...]
    protocol_id: str
    protocol: Protocol | None
    """None where only the id is known: rows without their protocols.json."""


class Cost(NamedTuple):
    """What an image costs: counted, and measured on one device."""

    gmacs: float
    seconds: float
    lower_quartile: float
    upper_quartile: float
    device: str
    threads: int
    batch: int


class Line(NamedTuple):
    """A cell at one number of images, or a set of images."""

    name: str
    cell: str
    """The cell's id; empty for images of others."""
    samples: int
    seed: int | None
    """None where it is not known; images of others have no seed of ours."""
    settings: tuple[str, ...]
    """All that says what a cell is, but for its seed; empty for sets of images."""
    weights: tuple[str, ...]
    """Digests of the networks, in the order of `rows.WEIGHTS`; empty for sets of images."""
    scores: dict[str, Score]
    cost: Cost | None
    """None for sets of images."""
    images_sha256: str
    """Empty where it is not known."""


class Source(NamedTuple):
    """One side of a comparison."""

    where: str
    lines: list[Line]
    made_by: str
    """Versions and devices in a few words; empty where they are not known."""
    unknown: list[str]
    """Metrics that this version has no name for; they are left out."""
