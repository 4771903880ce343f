"""What networks are conditioned on. Classes and prompts are numbers; some networks take words or embeddings instead."""

from collections import OrderedDict
from collections.abc import Sequence

import torch
from torch import Tensor

from sgbench.cells import randomness
from sgbench.cells.cell import Cell
from sgbench.cells.prompts import load_prompts
from sgbench.networks.text_encoder import TextEncoder
from sgbench.zoo.shapes.captions import token_ids

# Captions of public models take megabytes each, so that a set of thousands would not fit; a shard's do.
REMEMBERED = 256


class Conditions:
    """Class indices (B,), of a class-conditional network, and what other conditions have in common."""

    def __init__(self, null: Tensor) -> None:
        self.null = null
        """The null condition (1, ...), on the device of the network."""

    def of(self, numbers: Tensor) -> Tensor:
        """The conditions (B, ...) of classes or prompts by their numbers (B,), on the device of the network."""
        return numbers

    def prepare(self, numbers: Tensor) -> None:
        """Compute the conditions of a shard in advance, so that they do not count towards a cell's time."""


class ClassConditions(Conditions):
    """Class indices, the null class among them."""

    def __init__(self, null: int, device: torch.device) -> None:
        super().__init__(torch.full((1,), null, dtype=torch.long, device=device))


class WordConditions(Conditions):
    """Word numbers (B, L), for the shapes model. Raises UserError for a prompt with words that it does not know."""

    def __init__(self, cell: Cell, device: torch.device) -> None:
        super().__init__(torch.tensor([token_ids("")], device=device))
        prompts = load_prompts(cell.prompts)
        words = [token_ids(p.text, f"{prompts.name}: prompt {n}") for n, p in enumerate(prompts.prompts, start=1)]
        self.table = torch.tensor(words, device=device)

    def of(self, numbers: Tensor) -> Tensor:
        return self.table[numbers]


class CaptionConditions(Conditions):
    """Caption embeddings (B, L, C), encoded one by one: none depends on the others of its batch."""

    def __init__(self, cell: Cell, encoder: TextEncoder, device: torch.device) -> None:
        super().__init__(encoder.null().to(device))
        self.prompts, self.encoder, self.device = load_prompts(cell.prompts).prompts, encoder, device
        for prompt in self.prompts:
            encoder.check_length(prompt.text)
        self._known: OrderedDict[int, Tensor] = OrderedDict()

    def of(self, numbers: Tensor) -> Tensor:
        return torch.cat([self._encoded(number) for number in numbers.tolist()]).to(self.device)

    def prepare(self, numbers: Tensor) -> None:
        for number in numbers.tolist():
            self._encoded(number)

    def _encoded(self, number: int) -> Tensor:
        if number not in self._known:
            self._known[number] = self.encoder.encode([self.prompts[number].text]).cpu()
            if len(self._known) > REMEMBERED:
                self._known.popitem(last=False)
        return self._known[number]


class NoCaptions(Conditions):
    """Zeros (B, L, C), for throughput benchmarks of networks with random weights."""

    def __init__(self, shape: tuple[int, ...], device: torch.device) -> None:
        super().__init__(torch.zeros(1, *shape, device=device))

    def of(self, numbers: Tensor) -> Tensor:
        return self.null.expand(len(numbers), -1, -1)


def labels_for(cell: Cell, indices: Sequence[int]) -> Tensor:
    """The class or the prompt that each image shows (N,), int64 on the CPU."""
    return torch.from_numpy(randomness.labels(cell.seed, indices, cell.num_conditions, cell.labels))
