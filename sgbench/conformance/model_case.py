"""A model and its network, the calls that laws make of it, and how their outputs are compared."""

import copy
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Final, assert_never

import torch
from torch import Tensor

from sgbench.base.errors import UserError
from sgbench.conformance.law import BrokenError, NotApplicableError, seed_global_randomness
from sgbench.conformance.tensors import distance
from sgbench.cost.macs import count_kept
from sgbench.models.catalogue import ModelInfo
from sgbench.models.family import Prediction
from sgbench.networks.denoiser import Denoiser
from sgbench.zoo.shapes.captions import token_ids

# Two ways through a deep network in float32, and in float64 where float32 may have tipped a choice between experts.
OF_A_NETWORK, OF_FLOAT64 = 1e-4, 1e-8
# Two outputs that differ by no more are the same.
NOTHING = 1e-6
# In the middle of each clock, as networks are told it.
MIDDLE: Final[dict[Prediction, float]] = {
    "velocity": 0.6,
    "velocity-from-noise": 0.4,
    "edm": -0.25,
    "epsilon": 600.0,
}
WORDS: Final = ("a red circle", "a blue square")


def _drawn(shape: tuple[int, ...], seed: int) -> Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed))


@dataclass(frozen=True)
class ModelCase:
    """A model and its network, on a CPU, in evaluation mode."""

    info: ModelInfo
    network: Denoiser
    _counted: dict[int, int] = field(default_factory=dict)

    @property
    def grid(self) -> int:
        return self.network.architecture.grid_tokens

    @property
    def kind(self) -> Prediction:
        return self.info.family.prediction

    @property
    def drops(self) -> bool:
        """Whether it has tokens to drop."""
        return self.network.architecture.can_drop_tokens and self.grid > 1

    @property
    def kept(self) -> int:
        """Half of the tokens. Raises NotApplicableError where none can be dropped."""
        if not self.drops:
            raise NotApplicableError("it cannot drop tokens")
        return self.grid // 2

    def x(self, rows: range) -> Tensor:
        """States (B, C, H, W), each a function of its number."""
        return torch.stack([_drawn(self.network.architecture.sample_shape, row) for row in rows])

    def condition(self, rows: range) -> Tensor:
        """Conditions (B, ...), two kinds in turn."""
        a = self.network.architecture
        match a.conditions:
            case "classes":
                return torch.tensor([row % min(2, self.info.classes) for row in rows])
            case "words":
                return torch.tensor([token_ids(WORDS[row % 2]) for row in rows])
            case "captions":
                return torch.stack([_drawn(a.condition_shape, row % 2) for row in rows])
            case _:
                assert_never(a.conditions)

    def null(self) -> Tensor:
        """The null condition (1, ...). Raises NotApplicableError where another part of the model makes it."""
        a = self.network.architecture
        match a.conditions:
            case "classes":
                return torch.tensor([a.null_label])
            case "words":
                return torch.tensor([token_ids("")])
            case "captions":
                raise NotApplicableError("its null condition comes from its text encoder")
            case _:
                assert_never(a.conditions)

    def macs(self, kept: int) -> int:
        """What fvcore counts of a call, once. Raises MiscountError where it cannot, or the card says otherwise."""
        if kept not in self._counted:
            self._counted[kept] = count_kept(self.network, kept).macs
        return self._counted[kept]

    def tokens(self, rows: range, kept: int, seed: int = 0) -> Tensor:
        """Kept tokens (B, kept), each row a function of its number."""
        generators = (torch.Generator().manual_seed(1000 * seed + row) for row in rows)
        return torch.stack([torch.randperm(self.grid, generator=generator)[:kept] for generator in generators])


@dataclass(frozen=True)
class Call:
    """The arguments of a call of the network."""

    x: Tensor
    t: Tensor
    condition: Tensor
    tokens: Tensor | None = None

    def to(self, device: torch.device) -> "Call":
        """The same on another device."""
        tokens = None if self.tokens is None else self.tokens.to(device)
        return Call(self.x.to(device), self.t.to(device), self.condition.to(device), tokens)

    def on(self, network: Denoiser, dtype: torch.dtype = torch.float32) -> Tensor:
        """The output of a network of some type."""
        condition = self.condition.to(dtype) if self.condition.is_floating_point() else self.condition
        seed_global_randomness()
        with torch.inference_mode():
            found: Tensor = network(self.x.to(dtype), self.t.to(dtype), condition, self.tokens)
        return found


def call_of(case: ModelCase, rows: range, tokens: Tensor | None = None) -> Call:
    """A call in the middle of the clock."""
    return Call(case.x(rows), torch.full((len(rows),), MIDDLE[case.kind]), case.condition(rows), tokens)


Pair = Callable[[Denoiser, torch.dtype], tuple[Tensor, Tensor]]


def require_same(case: ModelCase, both: Pair, what: str) -> None:
    """Raise BrokenError where two ways to one output differ: in float32, and in float64, too, where that can be run."""
    apart = distance(*both(case.network, torch.float32))
    if apart <= OF_A_NETWORK:
        return
    try:
        exact = distance(*both(copy.deepcopy(case.network).double(), torch.float64))
    except (RuntimeError, TypeError, UserError):
        # It was written for float32 alone.
        exact = apart
    if exact > OF_FLOAT64:
        raise BrokenError(f"{what} by {apart:.2g} of the largest value")


def require_apart(found: Tensor, other: Tensor, what: str) -> None:
    """Raise BrokenError where two outputs that must differ do not."""
    apart = distance(found, other)
    if apart <= NOTHING:
        raise BrokenError(f"{what} (the largest difference is {apart:.1g} of the largest value)")
