"""Which line of B is the counterpart of a line of A."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Hashable, Sequence
from pathlib import PurePath
from typing import NamedTuple

from sgbench.compare.lines import Line
from sgbench.compare.rows import WEIGHTS

Key = Callable[[Line], Hashable]


class Pair(NamedTuple):
    """Two lines that answer each other."""

    a: Line
    b: Line

    @property
    def name(self) -> str:
        """The name of both, or both names."""
        return self.a.name if self.a.name == self.b.name else f"{self.a.name} against {self.b.name}"

    @property
    def remark(self) -> str:
        """What of the two is not the same though they answer each other; empty where nothing is."""
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
        """Whether image i of both was drawn from the same noise."""
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
