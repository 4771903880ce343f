"""Measure seconds, joules and bytes.

Time is measured batch by batch, with the device synchronised, and summarised by median and quartiles. Energy is read
from the driver of NVIDIA devices. Peak memory is device memory on CUDA, resident memory of the process elsewhere.
"""

import contextlib
import time
from collections.abc import Callable, Sequence
from pathlib import Path
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


class EnergyMeter:
    """Reads NVML's total-energy counter. The counter is refreshed every 20 to 100 ms: measure whole shards."""

    def __init__(self, device: torch.device) -> None:
        self._device = device
        self._handle = None
        if device.type != "cuda":
            return
        try:
            import pynvml
        except ImportError:
            return
        pynvml.nvmlInit()
        uuid = f"GPU-{torch.cuda.get_device_properties(device).uuid}"
        self._handle = pynvml.nvmlDeviceGetHandleByUUID(uuid)

    def joules(self) -> float | None:
        """Energy since the driver was loaded; take the difference of two readings."""
        if self._handle is None:
            return None
        import pynvml

        torch.cuda.synchronize(self._device)
        return float(pynvml.nvmlDeviceGetTotalEnergyConsumption(self._handle)) / 1000


def reset_peak(device: torch.device) -> None:
    """Start a new measurement of peak memory."""
    if device.type == "cuda":
        torch.cuda.reset_peak_memory_stats(device)
    else:
        # "5" sets the process's high-water mark back to what it uses now (proc(5)).
        with contextlib.suppress(OSError):
            Path("/proc/self/clear_refs").write_text("5")


def peak_bytes(device: torch.device) -> int | None:
    """Most bytes in use since `reset_peak`, or None where the system does not report it."""
    if device.type == "cuda":
        return torch.cuda.max_memory_allocated(device)
    with contextlib.suppress(OSError):
        for line in Path("/proc/self/status").read_text().splitlines():
            if line.startswith("VmHWM:"):
                return int(line.split()[1]) * 1024
    return None
