"""Randomness by counter: every draw is a pure function of (suite seed, stream, sample index, step).

No generator is ever advanced from one image to the next, so images do not depend on batch size, on the
order of work or on who does it; two cells of a suite share noise and labels at the same index.
"""

from __future__ import annotations

from collections.abc import Sequence
from enum import IntEnum

import numpy as np
from numpy.typing import NDArray


class Stream(IntEnum):
    """What a draw is for. The numbers are part of every cell's identity: never reuse or renumber one."""

    NOISE = 0
    LABEL = 1
    STRONG_TOKENS = 2
    WEAK_TOKENS = 3
    RANDOM_CONDITION = 4


def generator(seed: int, stream: Stream, index: int, step: int = 0) -> np.random.Generator:
    """A Philox generator at the start of its own counter block."""
    return np.random.Generator(np.random.Philox(key=[seed, int(stream)], counter=[0, 0, step, index]))


def noise(seed: int, indices: Sequence[int], shape: tuple[int, ...]) -> NDArray[np.float32]:
    """Unit normal noise (len(indices), *shape)."""
    return np.stack(
        [generator(seed, Stream.NOISE, index).standard_normal(shape, dtype=np.float32) for index in indices]
    )


def labels(seed: int, indices: Sequence[int], classes: int, policy: str) -> NDArray[np.int64]:
    """The class asked for by each image: `balanced` is index mod classes, `random` is uniform."""
    if policy == "balanced":
        return np.asarray(indices, dtype=np.int64) % classes
    return np.array([generator(seed, Stream.LABEL, index).integers(classes) for index in indices], dtype=np.int64)


def random_classes(seed: int, indices: Sequence[int], step: int, classes: int) -> NDArray[np.int64]:
    """A class per image and step that has nothing to do with the image (for ICG)."""
    draws = [generator(seed, Stream.RANDOM_CONDITION, index, step).integers(classes) for index in indices]
    return np.array(draws, dtype=np.int64)


def token_subset(
    seed: int, stream: Stream, indices: Sequence[int], step: int, grid: int, kept: int
) -> NDArray[np.int64]:
    """Kept token indices (len(indices), kept), ascending: exactly `kept` of `grid`, fresh per image and step."""
    scores = np.stack([generator(seed, stream, index, step).random(grid) for index in indices])
    return np.sort(np.argsort(scores, axis=1, kind="stable")[:, :kept], axis=1)
