"""Names and shapes of a safetensors file, read from its header alone. No torch."""

from __future__ import annotations

import json
from pathlib import Path

MOST_BYTES = 100_000_000


def shapes(path: Path) -> dict[str, tuple[int, ...]] | None:
    """Every tensor's shape by name; None for a file of another kind or a damaged one."""
    try:
        with path.open("rb") as stream:
            length = int.from_bytes(stream.read(8), "little")
            if not 2 <= length <= MOST_BYTES:
                return None
            header = json.loads(stream.read(length))
        return {name: tuple(entry["shape"]) for name, entry in header.items() if name != "__metadata__"}
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return None


def different_shapes(first: Path, second: Path) -> str:
    """In a few words how two checkpoints differ, as far as their headers can be read; empty where they do not."""
    one, other = shapes(first), shapes(second)
    if one is None or other is None:
        return ""
    for name in one:
        if name not in other:
            return f"{name} is missing"
        if one[name] != other[name]:
            return f"{name} is {list(other[name])}, not {list(one[name])}"
    more = next((name for name in other if name not in one), None)
    return "" if more is None else f"{more} is new"
