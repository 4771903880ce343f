"""The device of a run: which one, how to name it in a result, how long it may take, and what its memory holds."""

import gc
from collections.abc import Callable
from typing import TypeVar

import torch

from sgbench.base.errors import CellError, UserError
from sgbench.base.processor import processor_name
from sgbench.cells.cell import Cell

Made = TypeVar("Made")
# Messages of bare RuntimeErrors of torch: its CPU allocator, cuBLAS and cuDNN.
MESSAGES = ("can't allocate memory", "not enough memory", "out of memory", "ALLOC_FAILED")
# A shard of the largest published models takes minutes on a GPU; a CPU may take any time.
GPU_SECONDS = 3600.0


def resolve_device(name: str) -> torch.device:
    """`auto`, `cpu`, `cuda` or `cuda:N` as a device. Raises UserError when it is not available."""
    if name == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    try:
        device = torch.device(name)
    except RuntimeError as error:
        what = f"there is no device called {name!r}"
        raise UserError(what, where="--device", fix="use auto, cpu, cuda or cuda:N") from error
    if device.type == "cuda" and (device.index or 0) >= torch.cuda.device_count():
        what = f"{name} is not available: torch sees {torch.cuda.device_count()} CUDA devices"
        raise UserError(what, where="--device", fix="use --device cpu, or install a driver")
    return device


def describe_device(device: torch.device) -> dict[str, str | int]:
    """Name, kind and, on a CPU, the number of threads."""
    name = torch.cuda.get_device_name(device) if device.type == "cuda" else processor_name()
    return {"type": device.type, "name": name, "threads": torch.get_num_threads()}


def default_timeout(device: torch.device) -> float | None:
    """Seconds that a shard may take unless the user says: an hour on a GPU, any time on a CPU."""
    return None if device.type == "cpu" else GPU_SECONDS


class Batch:
    """How many images of one model are generated at a time; the images do not depend on it.

    When memory runs out, the size is halved for the rest of the run. It stays a multiple of `least`, the smallest size:
    a group on a CPU, one image elsewhere.
    """

    def __init__(self, size: int, least: int = 1) -> None:
        self.size, self.least = size, least

    def draw(self, cell: Cell, work: Callable[[int], Made]) -> Made:
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
                what = f"memory is too small for the smallest batch, {self.size} images ({said})"
                fix = "use a device with more memory, or stop other programs that use it"
                raise CellError(what, where=cell.describe(), fix=fix)
            self.size = max(self.least, self.size // 2 // self.least * self.least)


def is_out_of_memory(error: Exception) -> bool:
    """Whether an error of Python or torch says that memory ran out."""
    if isinstance(error, MemoryError | torch.OutOfMemoryError):
        return True
    return isinstance(error, RuntimeError) and any(words in str(error) for words in MESSAGES)
