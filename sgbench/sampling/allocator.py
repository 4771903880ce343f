"""Let the C library keep what tensors on a CPU give back, instead of returning it to the kernel block by block.

A transformer block makes and drops temporaries of megabytes. By default glibc maps each anew, and the kernel hands out
zeroed pages one fault at a time: a sixth of the time of a small network on two cores.
"""

from __future__ import annotations

import ctypes
import ctypes.util
import platform

# malloc.h of glibc.
TRIM_THRESHOLD, TOP_PAD, MAPPINGS = -1, -2, -4
NEVER, NONE = -1, 0
PAD_BYTES = 64 * 2**20


def keep_freed_memory() -> bool:
    """Ask once more or once for all, it is the same; returns whether there was a glibc to ask."""
    if platform.libc_ver()[0] != "glibc":
        return False
    library = ctypes.CDLL(None)
    wanted = ((MAPPINGS, NONE), (TRIM_THRESHOLD, NEVER), (TOP_PAD, PAD_BYTES))
    return all(bool(library.mallopt(option, value)) for option, value in wanted)
