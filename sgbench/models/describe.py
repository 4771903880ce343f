"""What is in a file of weights, told from names and shapes: families that fit, depth, width, classes. No torch."""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from torch import Tensor

FIRST_NAMES = 8
LAYER = re.compile(r"(\w*blocks|patch_mixer)\.(\d+)\.")
# Which top-level parts tell a layout; the first that are all there decide.
LAYOUTS: dict[str, set[str]] = {
    "microdit": {"patch_mixer", "blocks"},
    "mdtv2": {"en_inblocks", "en_outblocks"},
    "sprint": {"encoder_blocks", "middle_blocks"},
    "maskdit": {"blocks", "decoder_blocks"},
    "dit": {"x_embedder", "t_embedder", "y_embedder", "blocks", "final_layer"},
    "diffusers": {"transformer_blocks"},
}
# Stacks of layers that an architecture's `depth` counts.
DEPTH_STACKS = {
    "dit": ("blocks",),
    "maskdit": ("blocks",),
    "microdit": ("blocks",),
    "sprint": ("encoder_blocks", "middle_blocks", "decoder_blocks"),
    "mdtv2": ("en_inblocks", "en_outblocks", "de_blocks"),
}
PATCH, OUT, CLASSES = "x_embedder.proj.weight", "final_layer.linear.weight", "y_embedder.embedding_table.weight"


def guess_layout(names: Iterable[str]) -> str | None:
    """The way a network's parts are named: a family of networks, `diffusers`, or None for one not known here."""
    parts = {name.partition(".")[0] for name in names}
    return next((layout for layout, needed in LAYOUTS.items() if needed <= parts), None)


def stacks(names: Iterable[str]) -> dict[str, int]:
    """Number of layers in each stack of layers (`blocks`, `decoder_blocks`, ...)."""
    layers = {(match[1], match[2]) for name in names if (match := LAYER.match(name))}
    return dict(Counter(stack for stack, _ in sorted(layers)))


def guess_families(names: Iterable[str], shapes: Mapping[str, Sequence[int]]) -> list[str]:
    """The families whose networks have such weights.

    DiT, SiT and TREAD share one network; the weights do not tell them apart beyond a learned sigma, which the
    published DiT and SiT have and TREAD has not.
    """
    names = list(names)
    layout = guess_layout(names)
    if layout is None or layout == "diffusers":
        return []
    sizes = _sizes(shapes, layout)
    if layout == "maskdit":
        # Its labels pass a linear map (width, classes); an embedding has the width last.
        return ["maskdit"] if tuple(shapes.get(CLASSES, ()))[:1] == (sizes.get("width"),) else []
    if layout != "dit":
        return [layout]
    if any(name.startswith("projectors.") for name in names):
        return ["repa-sit"]
    learned_sigma = sizes.get("out_channels") == 2 * sizes.get("in_channels", 0)
    return ["dit", "sit"] if learned_sigma else ["tread-dit", "tread-sit", "dit", "sit"]


def describe_state(state: Mapping[str, Tensor]) -> dict[str, Any]:
    """Counts, dtypes, families and sizes of a state dict; a size that the names do not tell is left out."""
    shapes = {name: tuple(tensor.shape) for name, tensor in state.items()}
    layout = guess_layout(shapes)
    layers = stacks(shapes)
    described: dict[str, Any] = {
        "tensors": len(state),
        "parameters": sum(math.prod(shape) for shape in shapes.values()),
        "dtypes": dict(Counter(str(tensor.dtype).removeprefix("torch.") for tensor in state.values())),
        "first_names": list(shapes)[:FIRST_NAMES],
        "families": guess_families(shapes, shapes),
        "layers": layers,
    }
    if layout is not None and layout in DEPTH_STACKS:
        described["depth"] = sum(layers.get(stack, 0) for stack in DEPTH_STACKS[layout])
        described |= _sizes(shapes, layout)
    return described


def _sizes(shapes: Mapping[str, Sequence[int]], layout: str) -> dict[str, int]:
    """Width, patch, channels, tokens and classes, as far as the tensors are there."""
    sizes: dict[str, int] = {}
    embed, table = shapes.get(PATCH, ()), shapes.get(CLASSES, ())
    if embed:
        sizes["width"] = embed[0]
    if len(embed) == 4:
        sizes |= {"patch": embed[2], "in_channels": embed[1]}
        if OUT in shapes:
            sizes["out_channels"] = shapes[OUT][0] // embed[2] ** 2
    if len(shapes.get("pos_embed", ())) == 3:
        sizes["tokens"] = shapes["pos_embed"][1]
    if len(table) == 2:
        # An embedding has one more row, for the null condition; MaskDiT's linear map has a column per class.
        sizes["classes"] = table[1] if layout == "maskdit" else table[0] - 1
    return sizes
