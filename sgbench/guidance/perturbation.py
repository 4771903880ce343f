"""What blocks of a perturbed branch do instead of their own work. A kind is a class in the file of its rule."""

from __future__ import annotations

import re
from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar, NamedTuple, Self

if TYPE_CHECKING:
    from torch import Tensor

# More than any network has: it bounds the memory of a range.
MOST_BLOCKS = 10_000


class BlockCost(NamedTuple):
    """What one block costs for one image where nothing is perturbed, in multiply-accumulates."""

    linear: int
    attention: int
    normalised: int
    """Elements of LayerNorm."""
    image_attention: int
    """The part of `attention` in which image tokens attend to each other."""
    width: int
    """Of the queries, all heads together."""
    grid_tokens: int


@dataclass(frozen=True)
class Perturbation(ABC):
    """One kind of perturbation, and the blocks it acts on, numbered from 0 in the order they run in."""

    name: ClassVar[str]
    """As records of cost call it."""
    meaning: ClassVar[str]
    """What happens to the branch, in two or three words."""
    skips_blocks: ClassVar[bool] = False
    """Whether the blocks do not run at all. Otherwise their attention is perturbed, which not all networks allow."""
    draws_blocks: ClassVar[bool] = False
    """Whether each evaluation draws its blocks at random: a share `drop` of the network's, among those named."""

    layers: tuple[int, ...]

    @classmethod
    def of(cls, layers: tuple[int, ...], parameters: Mapping[str, float]) -> Self:
        """The perturbation of some blocks under the parameters of its rule that are numbers."""
        return cls(layers)

    @abstractmethod
    def attention(self, query: Tensor, key: Tensor, value: Tensor, bias: Tensor | None) -> Tensor:
        """What image tokens get in place of attention, in the shape of `query` (B, heads, N, d).

        Queries are those of image tokens. Keys and values are of all tokens, the N of the image last.
        """

    @abstractmethod
    def added_macs(self, block: BlockCost) -> tuple[int, int, int]:
        """What it adds to the cost of a block, below 0 where it saves: linear, attention, normalised elements."""


class Layers(tuple[int, ...]):
    """Numbers of blocks, rising. The text form has ranges: `7-9,12`."""

    def __str__(self) -> str:
        runs: list[list[int]] = []
        for layer in self:
            if runs and layer == runs[-1][-1] + 1:
                runs[-1].append(layer)
            else:
                runs.append([layer])
        return ",".join(str(run[0]) if len(run) == 1 else f"{run[0]}-{run[-1]}" for run in runs)


def layers(text: str) -> Layers:
    """Parse the text form. Raises ValueError, with what to write, for text that is not a list of blocks."""
    if not re.fullmatch(r"\d+(-\d+)?(,\d+(-\d+)?)*", text.replace(" ", "")):
        raise ValueError(f"{text!r} is not a list of blocks: write numbers from 0 and ranges, such as 7-9 or 2,5,8-10")
    found: set[int] = set()
    for part in text.replace(" ", "").split(","):
        first, _, last = part.partition("-")
        # Counted before it is read: Python refuses numbers of thousands of digits.
        if max(len(first), len(last)) > len(str(MOST_BLOCKS)) or int(last or first) > MOST_BLOCKS:
            raise ValueError(f"{text!r} goes beyond block {MOST_BLOCKS}: no network has so many")
        if int(last or first) < int(first):
            raise ValueError(f"{part} ends before it starts: swap the two numbers")
        found |= set(range(int(first), int(last or first) + 1))
    return Layers(sorted(found))
