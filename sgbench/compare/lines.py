"""What is compared: a line per cell and number of images, or per set of images; and which lines correspond."""

from collections import Counter
from collections.abc import Callable, Hashable, Sequence
from pathlib import PurePath
from typing import NamedTuple

from sgbench.metrics.protocols import Protocol

# Columns of rows with the digests of a cell's networks, and what those are called.
WEIGHTS = {
    "checkpoint_sha256": "checkpoint",
    "auxiliary_sha256": "weak checkpoint",
    "autoencoder_sha256": "autoencoder",
    "text_encoder_sha256": "text encoder",
}


class Score(NamedTuple):
    """A value with its standard error, its jackknife replicates and its protocol."""

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
    """The cell's id; empty for images from other tools."""
    samples: int
    seed: int | None
    """None where it is not known, as for images from other tools."""
    settings: tuple[str, ...]
    """All settings of a cell but its seed; empty for sets of images."""
    weights: tuple[str, ...]
    """Digests of the networks, in the order of `WEIGHTS`; empty for sets of images."""
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
    """Metrics that this version does not know; they are left out."""


class Pair(NamedTuple):
    """Two lines that correspond."""

    a: Line
    b: Line

    @property
    def name(self) -> str:
        """The name of both, or both names."""
        return self.a.name if self.a.name == self.b.name else f"{self.a.name} against {self.b.name}"

    @property
    def remark(self) -> str:
        """How the two differ though they correspond; empty where they do not."""
        changed = [
            f"other {name}"
            for name, a, b in zip(WEIGHTS.values(), self.a.weights, self.b.weights, strict=False)
            if a != b
        ]
        if self.a.settings == self.b.settings and self.a.cell != self.b.cell and not changed and self.same_seed:
            changed = ["other id of the same settings"] if self.a.settings else []
        if None not in (self.a.seed, self.b.seed) and not self.same_seed:
            changed.append(f"seed {self.a.seed} against {self.b.seed}")
        return ", ".join(changed)

    @property
    def same_seed(self) -> bool:
        """Whether image i of both was generated from the same noise."""
        return self.a.seed is not None and self.a.seed == self.b.seed

    @property
    def images(self) -> str:
        """Whether the images are the same, pixel by pixel: equal, differ or unknown."""
        if not (self.a.images_sha256 and self.b.images_sha256):
            return "unknown"
        return "equal" if self.a.images_sha256 == self.b.images_sha256 else "differ"


class Matched(NamedTuple):
    """All pairs in the order of A, and the lines without a counterpart."""

    pairs: list[Pair]
    only_a: list[Line]
    only_b: list[Line]


Key = Callable[[Line], Hashable]
# From the strictest to the loosest; None is never a key. Where only a number of images differs, the pair shows
# that costs compare and scores do not.
KEYS: tuple[Key, ...] = (
    lambda line: (line.cell, line.samples) if line.cell else None,
    lambda line: (line.settings, line.seed, line.samples) if line.settings else None,
    lambda line: (line.settings, line.samples) if line.settings else None,
    lambda line: (line.name, line.samples) if not line.settings else None,
    lambda line: (PurePath(line.name).name, line.samples) if not line.settings else None,
    lambda line: (line.settings, line.seed) if line.settings else None,
    lambda line: line.name if not line.settings else None,
)


def match(a: Sequence[Line], b: Sequence[Line]) -> Matched:
    """Pairs by cell and number of images, else by settings, else by name; what is ambiguous stays unmatched.

    Two sources of one cell or set each are compared whatever their names.
    """
    found: dict[int, int] = {}
    direct: tuple[Key, ...] = (lambda line: line.samples, lambda line: "all")
    for key in direct if _one(a) and _one(b) else KEYS:
        taken = set(found.values())
        first = _unique({i: key(line) for i, line in enumerate(a) if i not in found})
        second = _unique({i: key(line) for i, line in enumerate(b) if i not in taken})
        found |= {first[name]: second[name] for name in first if name in second}
    answered = set(found.values())
    return Matched(
        [Pair(a[i], b[found[i]]) for i in sorted(found)],
        [line for i, line in enumerate(a) if i not in found],
        [line for i, line in enumerate(b) if i not in answered],
    )


def _one(lines: Sequence[Line]) -> bool:
    """Whether all lines are of one cell or set."""
    return len({(line.cell, line.name) for line in lines}) == 1


def _unique(keys: dict[int, Hashable]) -> dict[Hashable, int]:
    """Where each key that occurs once is."""
    counts = Counter(keys.values())
    return {key: index for index, key in keys.items() if key is not None and counts[key] == 1}
