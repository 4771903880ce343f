"""Whether weights are of a network's sizes, by the shapes of a few tensors that tell; no value is read. No torch."""

import math
from collections.abc import Iterator, Sequence
from typing import NamedTuple

from sgbench.models.architecture import Architecture, ClassArchitecture
from sgbench.models.describe import CLASSES, OUT, PATCH, guess_families, record_of, stacks
from sgbench.models.family import Family, Shapes

WIDTH, POSITIONS = "t_embedder.mlp.2.bias", "pos_embed"
BIAS_TABLE = "relative_position_bias_table"
# Where the key is of a config, not of a written-out model.
VARIANCE = "learn_sigma"


class Misfit(NamedTuple):
    """The first difference, and the key of a written-out model that mends it, with its value."""

    what: str
    key: str
    value: object


def misfit(family: Family, record: Architecture, found: Shapes) -> Misfit | None:
    """What tells that weights of the shapes `found` are not of this network; None where nothing does."""
    kind = record_of(found)
    # Of names that mean nothing here, loading says more than shapes can.
    if kind is None or not record.telltale_parts:
        return None
    if kind is not type(record):
        others = guess_families(found) or [str(kind.model_fields["family"].default)]
        part = next(name for name in found if name.partition(".")[0] in kind.telltale_parts - record.telltale_parts)
        return Misfit(f"{part} is of {' or '.join(others)}, not of {family.name}", "family", others[0])
    return next(_differences(family, record, found), None)


def _differences(family: Family, a: Architecture, found: Shapes) -> Iterator[Misfit]:
    """Every difference, from the coarse to the fine: with another width hardly a shape is the same."""
    layers = stacks(found)
    own = [stack for stack in a.depth_stacks if stack in layers]
    depth = sum(layers[stack] for stack in own)
    if own and depth != a.depth:
        blocks = " and ".join(f"{layers[stack]} {stack}" for stack in own)
        yield Misfit(f"there are {blocks}: depth is {depth}, not {a.depth}", "depth", depth)
    if len(found.get(WIDTH, ())) == 1:
        yield from _said(found, WIDTH, (a.hidden_size,), "width", found[WIDTH][0], a.hidden_size)
    yield from _patches(a, found)
    if len(positions := found.get(POSITIONS, ())) == 3:
        side = math.isqrt(positions[1]) * a.patch_size
        yield from _said(found, POSITIONS, (1, a.grid_tokens, a.hidden_size), "latent_side", side, a.input_size)
    if isinstance(a, ClassArchitecture) and len(table := found.get(CLASSES, ())) == 2:
        yield from _said(found, CLASSES, a.label_table, "classes", a.classes_in(table), a.num_classes)
    yield from _variance(family, a, found)
    heads = getattr(a, "num_heads", 0)
    table_name = next((name for name in found if name.endswith(BIAS_TABLE)), None)
    if table_name is not None and len(table := found[table_name]) == 2:
        yield from _said(found, table_name, (table[0], heads), "heads", table[1], heads)


def _said(
    found: Shapes, name: str, expected: Sequence[int], key: str, theirs: object, ours: object
) -> Iterator[Misfit]:
    """The difference of one tensor, if it is one."""
    if tuple(found[name]) != tuple(expected):
        shapes = f"{name} is {list(found[name])}, not {list(expected)}"
        yield Misfit(f"{shapes}: {key} is {theirs}, not {ours}", key, theirs)


def _patches(a: Architecture, found: Shapes) -> Iterator[Misfit]:
    """Patch and channels, which a convolution holds apart and a linear map does not."""
    shape, patch, width = found.get(PATCH, ()), a.patch_size, a.hidden_size
    if len(shape) == 4:
        key, theirs, ours = ("channels", shape[1], a.in_channels) if shape[2] == patch else ("patch", shape[2], patch)
        yield from _said(found, PATCH, (width, a.in_channels, patch, patch), key, theirs, ours)
    elif len(shape) == 2:
        channels, left = divmod(shape[1], patch**2)
        other = math.isqrt(shape[1] // a.in_channels)
        key, theirs, ours = ("patch", other, patch) if left else ("channels", channels, a.in_channels)
        yield from _said(found, PATCH, (width, a.patch_values), key, theirs, ours)


def _variance(family: Family, a: Architecture, found: Shapes) -> Iterator[Misfit]:
    """Whether the last layer predicts a variance where the network does not, or does not where the network does."""
    rows, ours = found.get(OUT, (0,))[0], a.patch_size**2 * a.out_channels
    width = found.get(OUT, (0, 0))[-1]
    if rows == 2 * ours and not family.unused_half:
        yield from _said(found, OUT, (ours, width), VARIANCE, "true", "false")
    elif 2 * rows == ours:
        yield from _said(found, OUT, (ours, width), VARIANCE, "false", "true")
