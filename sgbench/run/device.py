"""The device of a run: which one, a batch that its memory does not hold, and a shard that never ends."""

from __future__ import annotations

import contextlib
import gc
import os
import sys
import threading
from collections.abc import Callable, Iterator
from typing import TypeVar

import torch

from sgbench.base.errors import CellError, UserError
from sgbench.base.processor import processor_name
from sgbench.base.progress import Progress
from sgbench.cells.cell import Cell
from sgbench.results.faults import write_failure
from sgbench.results.store import Store

Drawn = TypeVar("Drawn")
# What torch says where it raises a bare RuntimeError: its CPU allocator, cuBLAS and cuDNN.
SAID = ("can't allocate memory", "not enough memory", "out of memory", "ALLOC_FAILED")
# A shard of the largest published models takes minutes on a GPU; a CPU may be as slow as it likes.
GPU_SECONDS = 3600.0


def resolve_device(name: str) -> torch.device:
    """`auto`, `cpu`, `cuda` or `cuda:N` as a device. Raises UserError when it is not to be had."""
    if name == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    try:
        device = torch.device(name)
    except RuntimeError as error:
        raise UserError(
            f"there is no device called {name!r}", where="--device", fix="use auto, cpu, cuda or cuda:N"
        ) from error
    if device.type == "cuda" and (device.index or 0) >= torch.cuda.device_count():
        raise UserError(
            f"{name} was asked for, and torch sees {torch.cuda.device_count()} CUDA devices",
            where="--device",
            fix="use --device cpu, or install a driver",
        )
    return device


def describe_device(device: torch.device) -> dict[str, str | int]:
    """Name, kind and, on a CPU, the number of threads."""
    if device.type == "cuda":
        return {
            "type": "cuda",
            "name": torch.cuda.get_device_name(device),
            "threads": torch.get_num_threads(),
        }
    return {"type": device.type, "name": processor_name(), "threads": torch.get_num_threads()}


class Batch:
    """How many images of one model are drawn at a time, which they do not depend on.

    Where the memory is too small, the size is halved for the rest of the run. `least` is what cannot be halved: a
    group on a CPU, one image elsewhere. The size is a multiple of it.
    """

    def __init__(self, size: int, least: int = 1) -> None:
        self.size, self.least = size, least

    def draw(self, cell: Cell, work: Callable[[int], Drawn]) -> Drawn:
        """`work` at the batch's size, or at the first half of it that fits.

        Raises CellError where the smallest batch does not fit either.
        """
        while True:
            try:
                return work(self.size)
            except (MemoryError, RuntimeError) as error:
                if not is_out_of_memory(error):
                    raise
                said = str(error).partition("\n")[0] or "out of memory"
            # Outside of the handler, whose traceback holds every tensor of the attempt.
            gc.collect()
            torch.cuda.empty_cache()
            if self.size <= self.least:
                raise CellError(
                    f"the memory does not hold {self.size} images at a time, and fewer are not drawn ({said})",
                    where=cell.describe(),
                    fix="use a device with more memory, or end what else uses it",
                )
            self.size = max(self.least, self.size // 2 // self.least * self.least)


def is_out_of_memory(error: Exception) -> bool:
    """Whether an error says that memory was not to be had, in any of the ways that Python and torch say it."""
    if isinstance(error, MemoryError | torch.OutOfMemoryError):
        return True
    return isinstance(error, RuntimeError) and any(words in str(error) for words in SAID)


def default_timeout(device: torch.device) -> float | None:
    """Seconds that a shard may take where nobody said: an hour on a GPU, any time on a CPU."""
    return None if device.type == "cpu" else GPU_SECONDS


class Watchdog:
    """Ends this process with status 1 when a shard takes longer than `seconds`; None is no limit.

    A kernel that hangs cannot be interrupted, so there is no way back from it but a new process. All that was finished
    is kept, and the same command continues.
    """

    def __init__(
        self, seconds: float | None, samples: int, store: Store, device: torch.device, progress: Progress
    ) -> None:
        self.seconds, self.samples, self.store, self.device, self.progress = seconds, samples, store, device, progress

    @contextlib.contextmanager
    def over(self, cell: Cell, number: int) -> Iterator[None]:
        """Watch what is done in the context."""
        if self.seconds is None:
            yield
            return
        timer = threading.Timer(self.seconds, self._end, (cell, number))
        timer.daemon = True
        timer.start()
        try:
            yield
        finally:
            timer.cancel()

    def _end(self, cell: Cell, number: int) -> None:
        fault = CellError(
            f"shard {number} was not finished in {self.seconds:g} seconds on {self.device}",
            where=cell.describe(),
            fix="see whether the device hangs, then repeat the command, which continues, or give --shard-timeout",
        )
        try:
            write_failure(cell, number, self.samples, fault, describe_device(self.device), self.store)
        finally:
            self.progress.say(f"sgbench: {fault}")
            sys.stdout.flush()
            os._exit(1)
