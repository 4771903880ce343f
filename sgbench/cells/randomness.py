"""Randomness by counter: every draw is a pure function of (suite seed, stream, sample index, step).

No generator is advanced from one image to the next, so images do not depend on batch size, on the order of work or on
the worker; two cells of a suite share noise and labels at the same index.
"""

import hashlib
from collections.abc import Sequence
from enum import IntEnum
from typing import assert_never

import numpy as np
from numpy.typing import NDArray

from sgbench.cells.cell import LabelPolicy


class Stream(IntEnum):
    """The purpose of a draw. The numbers are part of every cell's identity: never reuse or renumber one."""

    NOISE = 0
    LABEL = 1
    STRONG_TOKENS = 2
    WEAK_TOKENS = 3
    RANDOM_CONDITION = 4
    STEP_NOISE = 5
    SHARED_TOKENS = 6
    STRONG_COUNT = 7
    WEAK_COUNT = 8
    SHARED_COUNT = 9
    BLOCKS = 10


def named_stream(name: str) -> int:
    """The stream of a purpose that a rule's author named, apart from all of `Stream`."""
    return 1 << 32 | int.from_bytes(hashlib.sha256(name.encode()).digest()[:4])


def generator(seed: int, stream: int, index: int, step: int = 0) -> np.random.Generator:
    """A Philox generator at the start of its own counter block."""
    return np.random.Generator(np.random.Philox(key=[seed, int(stream)], counter=[0, 0, step, index]))


def noise(seed: int, indices: Sequence[int], shape: tuple[int, ...]) -> NDArray[np.float32]:
    """Unit normal noise (len(indices), *shape) that sampling starts from."""
    return _normal(seed, Stream.NOISE, indices, shape, 0)


def step_noise(seed: int, indices: Sequence[int], shape: tuple[int, ...], step: int) -> NDArray[np.float32]:
    """Unit normal noise (len(indices), *shape) that a stochastic sampler adds at a step."""
    return _normal(seed, Stream.STEP_NOISE, indices, shape, step)


def _normal(
    seed: int, stream: Stream, indices: Sequence[int], shape: tuple[int, ...], step: int
) -> NDArray[np.float32]:
    drawn = [generator(seed, stream, index, step).standard_normal(shape, dtype=np.float32) for index in indices]
    return np.stack(drawn)


def labels(seed: int, indices: Sequence[int], classes: int, policy: LabelPolicy) -> NDArray[np.int64]:
    """The class of each image: `balanced` is index mod classes, `random` is uniform."""
    match policy:
        case "balanced":
            return np.asarray(indices, dtype=np.int64) % classes
        case "random":
            drawn = [generator(seed, Stream.LABEL, index).integers(classes) for index in indices]
            return np.array(drawn, dtype=np.int64)
        case _:
            assert_never(policy)


def random_classes(seed: int, indices: Sequence[int], evaluations: int, classes: int) -> NDArray[np.int64]:
    """A class per evaluation and image (evaluations, len(indices)), independent of the image (for ICG)."""
    stream = Stream.RANDOM_CONDITION
    return np.stack([generator(seed, stream, index).integers(classes, size=evaluations) for index in indices], axis=1)


def token_orders(seed: int, stream: int, indices: Sequence[int], evaluations: int, grid: int) -> NDArray[np.int64]:
    """A random order of the grid's tokens per evaluation and image (evaluations, len(indices), grid).

    A branch keeps the first tokens of its order, so that smaller subsets are part of larger ones. One generator
    an image serves all evaluations.
    """
    scores = [generator(seed, stream, index).random((evaluations, grid)) for index in indices]
    return np.argsort(np.stack(scores, axis=1), axis=2)
