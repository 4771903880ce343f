"""What this machine's processor is and can do, without torch."""

import os
import platform
from pathlib import Path
from typing import Literal

CPUINFO = Path("/proc/cpuinfo")
# Of AVX-512, AMX and Arm.
BFLOAT16_FLAGS = {"avx512_bf16", "amx_bf16", "bf16"}


def processor_name() -> str:
    """The model name, as far as the system reports it."""
    for line in _lines():
        if line.startswith("model name"):
            return line.split(":", 1)[1].strip()
    return platform.processor() or platform.machine()


def usable_cores() -> int:
    """Cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def automatic_dtype() -> Literal["bfloat16", "float32"]:
    """What `dtype: auto` means here: `bfloat16` where the processor has instructions for it, else `float32`.

    Emulated bfloat16 is slower than float32.
    """
    return "bfloat16" if BFLOAT16_FLAGS & _features() else "float32"


def vector_unit() -> str:
    """The widest vector instructions of the processor."""
    known = {"avx512f": "AVX-512", "avx2": "AVX2", "sve": "SVE", "asimd": "NEON"}
    return next((name for flag, name in known.items() if flag in _features()), platform.machine())


def _features() -> set[str]:
    return {word for line in _lines() if line.lower().startswith(("flags", "features")) for word in line.split()}


def _lines() -> list[str]:
    try:
        return CPUINFO.read_text().splitlines()
    except OSError:
        return []
