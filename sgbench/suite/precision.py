"""What `dtype: auto` means here: bfloat16 where the processor has instructions for it, float32 elsewhere."""

from __future__ import annotations

from pathlib import Path

CPUINFO = Path("/proc/cpuinfo")
# x86's AVX-512 and AMX extensions, Arm's.
BFLOAT16_FLAGS = {"avx512_bf16", "amx_bf16", "bf16"}


def automatic_dtype() -> str:
    """`bfloat16` or `float32`. Emulated bfloat16 is slower than float32, so without a flag it is float32."""
    try:
        lines = CPUINFO.read_text().splitlines()
    except OSError:
        return "float32"
    flags = {flag for line in lines if line.lower().startswith(("flags", "features")) for flag in line.split()}
    return "bfloat16" if flags & BFLOAT16_FLAGS else "float32"
