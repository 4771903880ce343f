"""What blocks of a perturbed branch do instead of their own work. A kind is a class in the file of its rule."""

from __future__ import annotations

import re
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, ClassVar, NamedTuple, Self

if TYPE_CHECKING:
    from numpy.random import Generator
    from numpy.typing import NDArray
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


class Draws(NamedTuple):
    """What a perturbation draws from, and for: some images in one evaluation."""

    generators: Iterable[Generator]
    """One for each image, a function of (cell, branch, image, evaluation) alone."""
    tokens: int
    width: Callable[[int], int]
    """Of a block's queries, all heads together."""
    place: Callable[[NDArray[Any]], Tensor]
    """Brings an array to the device."""


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

    def drawn(self, draws: Draws) -> Self:
        """The perturbation of some images in one evaluation: itself, unless it is random."""
        return self

    def at(self, layer: int) -> Self:
        """What acts in one of its blocks."""
        return self

    @abstractmethod
    def attention(self, query: Tensor, key: Tensor, value: Tensor, bias: Tensor | None) -> Tensor:
        """What image tokens get in place of attention, in the shape of `query` (B, heads, N, d).

        Queries are those of image tokens. Keys and values are of all tokens, the N of the image last.
        """

    @abstractmethod
    def added_macs(self, block: BlockCost) -> tuple[int, int, int]:
        """What it adds to the cost of a block, below 0 where it saves: linear, attention, normalised elements."""


@dataclass(frozen=True)
class RandomPerturbation(Perturbation):
    """Attention perturbed at random, for each image, evaluation and block apart. Equal whatever was drawn."""

    blocks: Mapping[int, Self] = field(default_factory=dict, compare=False)
    """What acts in each block, once it is drawn."""
    draw: Tensor | None = field(default=None, compare=False)
    """What was drawn for a block, for all images."""

    @abstractmethod
    def draw_block(self, generator: Generator, tokens: int, width: int) -> NDArray[Any]:
        """What one image needs in one block, of as many tokens and of that width."""

    def drawn(self, draws: Draws) -> Self:
        import numpy as np

        images = [
            [self.draw_block(generator, draws.tokens, draws.width(layer)) for layer in self.layers]
            for generator in draws.generators
        ]
        blocks = zip(self.layers, zip(*images, strict=True), strict=True)
        return replace(
            self, blocks={layer: replace(self, draw=draws.place(np.stack(block))) for layer, block in blocks}
        )

    def at(self, layer: int) -> Self:
        return self.blocks[layer]

    def attention(self, query: Tensor, key: Tensor, value: Tensor, bias: Tensor | None) -> Tensor:
        from torch.nn.functional import scaled_dot_product_attention

        assert self.draw is not None, "drawn for its images, and at a block"
        return self.disturb(scaled_dot_product_attention(query, key, value, attn_mask=bias), self.draw)

    @abstractmethod
    def disturb(self, mixed: Tensor, draw: Tensor) -> Tensor:
        """What image tokens get in place of what they attended to, `mixed` (B, heads, N, d)."""

    def added_macs(self, block: BlockCost) -> tuple[int, int, int]:
        return 0, 0, 0


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
