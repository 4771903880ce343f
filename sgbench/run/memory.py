"""Out of memory: the batch is halved, drawn again, and stays so for the rest of the run.

Images do not depend on it.
"""

from __future__ import annotations

import gc
from collections.abc import Callable
from typing import TypeVar

import torch

from sgbench.base.errors import CellError
from sgbench.cells.cell import Cell

Drawn = TypeVar("Drawn")
# What torch says where it raises a bare RuntimeError: its CPU allocator, cuBLAS and cuDNN.
SAID = ("can't allocate memory", "not enough memory", "out of memory", "ALLOC_FAILED")


class Batch:
    """How many images of one model are drawn at a time; smaller after the memory was too small.

    `least` is what cannot be halved: a group on a CPU, one image elsewhere. The size is a multiple of it.
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
