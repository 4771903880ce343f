"""Which of the things in a checkpoint are the network's weights: averaged ones first, without their wrappers.

The same for tensors and for their shapes alone. No torch.
"""

from collections.abc import Collection, Mapping
from typing import TypeVar

# Averaged weights first: they are what the published numbers were measured with.
WRAPPERS = ("ema", "ema_state_dict", "model_ema", "state_dict", "model_state_dict", "model", "state", "net", "module")
PREFIXES = ("module.", "_orig_mod.", "model.", "ema.", "dit.", "net.")
MAX_NESTING = 6
Weight = TypeVar("Weight")


def pick(content: object, kind: type[Weight], known: Collection[str] = ()) -> tuple[dict[str, Weight], str]:
    """The weights, of type `kind`, in the content of a checkpoint, if any, and a note of what was picked.

    A prefix is stripped only when all names carry it, which leaves a submodule of that name alone. Where the names that
    the network has are `known`, what all of these begin with stays.
    """
    path: list[str] = []
    while (key := _wrapper(content, kind)) is not None and len(path) < MAX_NESTING:
        assert isinstance(content, Mapping)
        path.append(key)
        content = content[key]
    weights = _weights(content, kind)
    own = stripped = ""
    while prefix := _prefix(known, before=own):
        own += prefix
    while prefix := _prefix(weights, after=own):
        weights = {name.removeprefix(prefix): weight for name, weight in weights.items()}
        stripped += prefix
    note = ".".join(path) or "the whole file"
    return weights, f"{note}, prefix {stripped}" if stripped else note


def _prefix(names: Collection[str], before: str = "", after: str = "") -> str:
    """The prefix that all names have between these two; empty where there is none."""
    shared = (p for p in PREFIXES if names and all(name.startswith(before + p + after) for name in names))
    return next(shared, "")


def _weights(content: object, kind: type[Weight]) -> dict[str, Weight]:
    """The weights at the top level of a mapping."""
    items = content.items() if isinstance(content, Mapping) else ()
    return {str(name): value for name, value in items if isinstance(value, kind)}


def _wrapper(content: object, kind: type[Weight], depth: int = MAX_NESTING) -> str | None:
    """The first wrapper key under which there are weights, at most `depth` keys deep."""
    if depth == 0 or not isinstance(content, Mapping):
        return None
    inside = ((key, content.get(key)) for key in WRAPPERS)
    return next((key for key, value in inside if _weights(value, kind) or _wrapper(value, kind, depth - 1)), None)
