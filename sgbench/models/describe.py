"""What is in a file of weights, from names and shapes: families that fit, depth, width, classes. No torch."""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any

from sgbench.models.architecture import Architecture, ClassArchitecture
from sgbench.models.families import FAMILIES
from sgbench.models.families.dit import DiTArchitecture
from sgbench.models.family import Shapes

if TYPE_CHECKING:
    from torch import Tensor

FIRST_NAMES = 8
LAYER = re.compile(r"(\w*blocks|patch_mixer)\.(\d+)\.")
PATCH, OUT, CLASSES = "x_embedder.proj.weight", "final_layer.linear.weight", "y_embedder.embedding_table.weight"


def guess_layout(names: Iterable[str]) -> str | None:
    """How a network's parts are named: its family of networks, `diffusers`, or None where it is not recognised."""
    names = list(names)
    if record := record_of(names):
        return str(record.model_fields["family"].default)
    return "diffusers" if any(name.startswith("transformer_blocks.") for name in names) else None


def record_of(names: Iterable[str]) -> type[Architecture] | None:
    """The record whose telltale parts are all there. DiT's parts are in other networks, too: it comes last."""
    parts = {name.partition(".")[0] for name in names}
    records = sorted({f.architecture: None for f in FAMILIES.values()}, key=lambda record: record is DiTArchitecture)
    return next((record for record in records if record.telltale_parts and record.telltale_parts <= parts), None)


def stacks(names: Iterable[str]) -> dict[str, int]:
    """Number of layers in each stack of layers (`blocks`, `decoder_blocks`, ...)."""
    layers = {(match[1], match[2]) for name in names if (match := LAYER.match(name))}
    return dict(Counter(stack for stack, _ in sorted(layers)))


def guess_families(shapes: Shapes) -> list[str]:
    """The families whose networks have such weights; of those around DiT, a learned sigma rules out TREAD."""
    record = record_of(shapes)
    return [f.name for f in FAMILIES.values() if f.architecture is record and f.fits(shapes)]


def describe_state(state: Mapping[str, Tensor]) -> dict[str, Any]:
    """Counts, dtypes, families and sizes of a state dict; sizes that cannot be inferred are left out."""
    shapes = {name: tuple(tensor.shape) for name, tensor in state.items()}
    layers = stacks(shapes)
    described: dict[str, Any] = {
        "tensors": len(state),
        "parameters": sum(math.prod(shape) for shape in shapes.values()),
        "dtypes": dict(Counter(str(tensor.dtype).removeprefix("torch.") for tensor in state.values())),
        "first_names": list(shapes)[:FIRST_NAMES],
        "families": guess_families(shapes),
        "layers": layers,
    }
    record = record_of(shapes)
    if record is not None:
        described["depth"] = sum(layers.get(stack, 0) for stack in record.depth_stacks)
        described |= _sizes(shapes, record)
    return described


def _sizes(shapes: Shapes, record: type[Architecture]) -> dict[str, int]:
    """Width, patch, channels, tokens and classes, as far as their tensors are there."""
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
    if len(table) == 2 and issubclass(record, ClassArchitecture):
        sizes["classes"] = record.classes_in(table)
    return sizes
