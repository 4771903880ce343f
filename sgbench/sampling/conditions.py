"""What networks are conditioned on, by number: classes are their own numbers, prompts become words or embeddings."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Sequence
from typing import Protocol

import torch
from torch import Tensor

from sgbench.cells import randomness
from sgbench.cells.cell import Cell
from sgbench.cells.prompts import load_prompts
from sgbench.zoo.shapes.vocabulary import token_ids

# Captions of public models take megabytes each, so that a set of thousands would not fit; a shard's do.
REMEMBERED = 256


class Conditions(Protocol):
    """The conditions of classes or prompts."""

    @property
    def null(self) -> Tensor:
        """What stands for no condition (1, ...)."""

    def of(self, numbers: Tensor) -> Tensor:
        """The conditions (B, ...) of classes or prompts by their numbers (B,), on the device of the network."""

    def prepare(self, numbers: Tensor) -> None:
        """Have the conditions of some classes or prompts at hand, as many as a shard has images."""


class Encoder(Protocol):
    """Reads captions."""

    def encode(self, captions: Sequence[str]) -> Tensor:
        """Embeddings (N, L, C)."""

    def check_length(self, caption: str) -> None:
        """Raise UserError for a caption that would be cut off."""

    def null(self) -> Tensor:
        """What stands for no caption (1, L, C)."""


class ClassConditions:
    """Of a class-conditional network; the null class comes after the others."""

    def __init__(self, classes: int, device: torch.device) -> None:
        self.null = torch.full((1,), classes, dtype=torch.long, device=device)

    def of(self, numbers: Tensor) -> Tensor:
        return numbers

    def prepare(self, numbers: Tensor) -> None:
        """They are their own numbers."""


class WordConditions:
    """Of the shapes model, as word numbers. Raises UserError for a prompt with words that it does not know."""

    def __init__(self, cell: Cell, device: torch.device) -> None:
        prompts = load_prompts(cell.prompts)
        words = [token_ids(p.text, f"{prompts.name}: prompt {n}") for n, p in enumerate(prompts.prompts, start=1)]
        self.table = torch.tensor(words, device=device)
        self.null = torch.tensor([token_ids("")], device=device)

    def of(self, numbers: Tensor) -> Tensor:
        return self.table[numbers]

    def prepare(self, numbers: Tensor) -> None:
        """All of them are."""


class CaptionConditions:
    """Of a network that is given embeddings. A caption is read alone, so that it never depends on its company."""

    def __init__(self, cell: Cell, encoder: Encoder, device: torch.device) -> None:
        self.prompts, self.encoder, self.device = load_prompts(cell.prompts).prompts, encoder, device
        self.null = encoder.null().to(device)
        for prompt in self.prompts:
            encoder.check_length(prompt.text)
        self._known: OrderedDict[int, Tensor] = OrderedDict()

    def of(self, numbers: Tensor) -> Tensor:
        return torch.cat([self._read(number) for number in numbers.tolist()]).to(self.device)

    def prepare(self, numbers: Tensor) -> None:
        """Read them now, so that no cell's seconds hold what the other cells find read."""
        for number in numbers.tolist():
            self._read(number)

    def _read(self, number: int) -> Tensor:
        if number not in self._known:
            self._known[number] = self.encoder.encode([self.prompts[number].text]).cpu()
            if len(self._known) > REMEMBERED:
                self._known.popitem(last=False)
        return self._known[number]


class NoCaptions:
    """Of a network with random weights, for work on throughput: zeros (B, L, C) whatever is asked for."""

    def __init__(self, shape: tuple[int, ...], device: torch.device) -> None:
        self.null = torch.zeros(1, *shape, device=device)

    def of(self, numbers: Tensor) -> Tensor:
        return self.null.expand(len(numbers), -1, -1)

    def prepare(self, numbers: Tensor) -> None:
        """There is nothing to read."""


def labels_for(cell: Cell, indices: Sequence[int]) -> Tensor:
    """The class or the prompt each image is asked to show (N,), int64 on the CPU."""
    return torch.from_numpy(randomness.labels(cell.seed, indices, cell.num_conditions, cell.labels))
