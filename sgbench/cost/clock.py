"""Time that can be trusted: synchronised, batch by batch, summed up by median and quartiles."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from typing import NamedTuple, TypeVar

import numpy as np
import torch

T = TypeVar("T")


class Timing(NamedTuple):
    """Seconds per image over batches."""

    median: float
    lower_quartile: float
    upper_quartile: float
    batches: int


def timed(work: Callable[[], T], device: torch.device) -> tuple[T, float]:
    """The result of `work` and the seconds it took, waiting for the device before and after."""
    _synchronise(device)
    start = time.perf_counter()
    result = work()
    _synchronise(device)
    return result, time.perf_counter() - start


def summarise(seconds_per_image: Sequence[float]) -> Timing:
    """Median and quartiles of per-batch means. Needs at least one batch."""
    lower, median, upper = np.percentile(seconds_per_image, [25, 50, 75]).tolist()
    return Timing(median, lower, upper, len(seconds_per_image))


def _synchronise(device: torch.device) -> None:
    if device.type == "cuda":
        torch.cuda.synchronize(device)
