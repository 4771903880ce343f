"""Peak memory of a stretch of work: device memory on CUDA, resident memory of the process elsewhere."""

from __future__ import annotations

import contextlib
from pathlib import Path

import torch

_CLEAR = Path("/proc/self/clear_refs")
_STATUS = Path("/proc/self/status")


def reset_peak(device: torch.device) -> None:
    """Start a new stretch."""
    if device.type == "cuda":
        torch.cuda.reset_peak_memory_stats(device)
    else:
        # "5" sets the process's high-water mark back to what it uses now (proc(5)).
        with contextlib.suppress(OSError):
            _CLEAR.write_text("5")


def peak_bytes(device: torch.device) -> int | None:
    """Most bytes in use since `reset_peak`, or None where the system does not tell."""
    if device.type == "cuda":
        return torch.cuda.max_memory_allocated(device)
    with contextlib.suppress(OSError):
        for line in _STATUS.read_text().splitlines():
            if line.startswith("VmHWM:"):
                return int(line.split()[1]) * 1024
    return None
