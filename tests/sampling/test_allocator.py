"""The C library is asked to keep freed memory, where there is one to ask."""

from __future__ import annotations

import platform

from sgbench.sampling.allocator import keep_freed_memory


def test_glibc_agrees_and_other_libraries_are_left_alone() -> None:
    assert keep_freed_memory() == (platform.libc_ver()[0] == "glibc")
