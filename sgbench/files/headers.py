"""Names and shapes of a network's weights in a file, without reading their values. No torch."""

from functools import lru_cache
from pathlib import Path

from safetensors import SafetensorError, safe_open

from sgbench.files.picking import pick
from sgbench.files.torch_shapes import Shape, read_shapes

# Parts of published checkpoints that sampling does not use.
UNUSED = ("projectors.", "rel_pos_embed")
# Their rows may include a predicted variance, which only one of two files may have and nothing uses.
LAST_LAYER = ("final_layer.linear.weight", "final_layer.linear.bias")
WRAPPERS = ("module.", "_orig_mod.", "model.")


def shapes(path: Path) -> dict[str, tuple[int, ...]]:
    """The shape of every tensor that loading would pick, by name; none for a file that says nothing of them."""
    try:
        state = path.stat()
    except OSError:
        return {}
    return dict(_shapes(path, state.st_mtime_ns, state.st_size))


@lru_cache(maxsize=256)
def _shapes(path: Path, changed: int, size: int) -> dict[str, Shape]:
    return pick(_header(path) if path.suffix == ".safetensors" else read_shapes(path), Shape)[0]


def _header(path: Path) -> dict[str, Shape] | None:
    """The header of a safetensors file; None for a file of another kind or a damaged one."""
    try:
        with safe_open(path, framework="numpy") as tensors:
            names = tensors.keys()
            return {name: Shape(tensors.get_slice(name).get_shape()) for name in names}
    except (OSError, SafetensorError):
        return None


def different_shapes(first: Path, second: Path) -> str:
    """The first difference of two checkpoints, as far as their headers can be read; empty where there is none."""
    one, other = _used(shapes(first)), _used(shapes(second))
    if not one or not other:
        return ""
    for name in one:
        if name not in other:
            return f"{name} is missing"
        if one[name] != other[name]:
            return f"{name} is {list(other[name])}, not {list(one[name])}"
    return next((f"{name} is new" for name in other if name not in one), "")


def _used(found: dict[str, tuple[int, ...]]) -> dict[str, tuple[int, ...]]:
    """What loading uses: names without wrappers, and without the parts that it leaves out."""
    bare = {}
    for wrapped, shape in found.items():
        name = wrapped
        while name.startswith(WRAPPERS):
            name = name.partition(".")[2]
        if not name.startswith(UNUSED) and name not in LAST_LAYER:
            bare[name] = shape
    return bare
