"""What networks are conditioned on, by number: classes are their own numbers, prompts are looked up in a table."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor

from sgbench.sampling import randomness
from sgbench.suite.asked import choices
from sgbench.suite.cell import Cell
from sgbench.suite.prompts import load_prompts
from sgbench.zoo.shapes.vocabulary import token_ids


class Conditions(NamedTuple):
    """The null condition (1, ...) and, for prompts, the conditions of all of them (P, ...)."""

    null: Tensor
    table: Tensor | None = None

    def of(self, numbers: Tensor) -> Tensor:
        """The conditions of some classes or prompts (B,): the classes themselves, or rows of the table (B, ...)."""
        return numbers if self.table is None else self.table[numbers]

    def to(self, device: torch.device) -> Conditions:
        """The same on a device."""
        return Conditions(self.null.to(device), None if self.table is None else self.table.to(device))


def asked(cell: Cell, indices: Sequence[int]) -> Tensor:
    """The class or the prompt each image is asked to show (N,), int64 on the CPU."""
    return torch.from_numpy(randomness.labels(cell.seed, indices, choices(cell), cell.labels))


def class_conditions(classes: int) -> Conditions:
    """Of a class-conditional network; the null class comes after the others."""
    return Conditions(torch.full((1,), classes, dtype=torch.long))


def caption_conditions(cell: Cell) -> Conditions:
    """Of the shapes model, as word numbers. Raises UserError for a prompt with words that it does not know."""
    prompts = load_prompts(cell.prompts)
    words = [token_ids(p.text, f"{prompts.name}: prompt {n}") for n, p in enumerate(prompts.prompts, start=1)]
    return Conditions(torch.tensor([token_ids("")]), torch.tensor(words))
