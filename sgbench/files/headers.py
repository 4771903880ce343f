"""Names and shapes of a safetensors file, read from its header alone. No torch."""

from __future__ import annotations

import json
from pathlib import Path

MOST_BYTES = 100_000_000
# Parts of published checkpoints that sampling has no use for.
UNUSED = ("projectors.", "rel_pos_embed")
# Whose rows may hold a variance that one of two files has and nobody uses.
LAST_LAYER = ("final_layer.linear.weight", "final_layer.linear.bias")
WRAPPERS = ("module.", "_orig_mod.", "model.")


def shapes(path: Path) -> dict[str, tuple[int, ...]] | None:
    """Every tensor's shape by name; None for a file of another kind or a damaged one."""
    try:
        with path.open("rb") as stream:
            length = int.from_bytes(stream.read(8), "little")
            if not 2 <= length <= MOST_BYTES:
                return None
            header = json.loads(stream.read(length))
        return {name: tuple(entry["shape"]) for name, entry in header.items() if name != "__metadata__"}
    except (OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError):
        return None


def different_shapes(first: Path, second: Path) -> str:
    """In a few words how two checkpoints differ, as far as their headers can be read; empty where they do not."""
    one, other = _used(shapes(first)), _used(shapes(second))
    if not one or not other:
        return ""
    for name in one:
        if name not in other:
            return f"{name} is missing"
        if one[name] != other[name]:
            return f"{name} is {list(other[name])}, not {list(one[name])}"
    more = next((name for name in other if name not in one), None)
    return "" if more is None else f"{more} is new"


def _used(found: dict[str, tuple[int, ...]] | None) -> dict[str, tuple[int, ...]]:
    """What loading compares: names without wrappers, and nothing of what it leaves out."""
    bare = {}
    for wrapped, shape in (found or {}).items():
        name = wrapped
        while name.startswith(WRAPPERS):
            name = name.partition(".")[2]
        if not name.startswith(UNUSED) and name not in LAST_LAYER:
            bare[name] = shape
    return bare
