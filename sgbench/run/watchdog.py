"""A limit on the time that a shard may take: a device that hangs ends the process, and the cell says why."""

from __future__ import annotations

import contextlib
import os
import sys
import threading
from collections.abc import Iterator

import torch

from sgbench.base.errors import CellError
from sgbench.base.progress import Progress
from sgbench.cells.cell import Cell
from sgbench.results.faults import write_failure
from sgbench.results.store import Store
from sgbench.run.device import describe_device

# A shard of the largest published models takes minutes on a GPU; a CPU may be as slow as it likes.
GPU_SECONDS = 3600.0


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
