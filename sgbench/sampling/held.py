"""The guided prediction for a sampler that keeps to the moments it declares: plans and costs are counted from them."""

import math
from typing import Any, NoReturn

import torch
from torch import Tensor

from sgbench.base.errors import CellError
from sgbench.cells.cell import Cell
from sgbench.samplers.catalogue import SAMPLERS
from sgbench.samplers.settings import SamplerKind
from sgbench.sampling.finite import STATE
from sgbench.sampling.guided import GuidedPrediction

TOLERANCE = 1e-6


class HeldPrediction:
    """Called by a sampler as the guided prediction is; raises CellError for another evaluation than is declared next.

    `function` is the sampler's; errors name its file and line where it is a user's.
    """

    def __init__(self, cell: Cell, guided: GuidedPrediction, kind: SamplerKind, function: Any, noise: Tensor) -> None:
        self.cell, self.guided, self.kind, self.noise = cell, guided, kind, noise
        self.place = SAMPLERS.place(kind.name, function)
        self.made = 0

    def __call__(self, x: Tensor, level: float, number: int) -> Tensor:
        return self.guided(x, self._level(x, level, number), number)

    def pair(self, x: Tensor, level: float, number: int) -> tuple[Tensor, Tensor]:
        """The guided and the unconditional prediction."""
        return self.guided.pair(x, self._level(x, level, number), number)

    def finish(self, state: Any) -> Tensor:
        """The final state. Raises CellError for another shape, and where evaluations are missing."""
        declared = len(self.guided.evaluations)
        if self.made < declared:
            self._refuse(f"evaluates the prediction {self.made} times, and its `moments` declare {declared}")
        self._check_state(state, "returned")
        # An overflow outside of the predictions shows here, in float32 at the latest.
        self.guided.finite.note(self.cell.sampler.steps - 1, STATE, state.float(), self.place)
        return state

    def _level(self, x: Any, level: Any, number: Any) -> float:
        """The level as a number, once the evaluation is the one that is declared next."""
        declared = [evaluation.moment for evaluation in self.guided.evaluations]
        if number != self.made or self.made >= len(declared):
            self._refuse(
                f"makes evaluation {number} (counted from 0) after {self.made}, and its `moments` declare "
                f"{len(declared)}, one after the other"
            )
        moment = declared[self.made]
        exact = level if isinstance(level, int | float) else float(level)
        if not math.isclose(exact, moment.level, rel_tol=TOLERANCE, abs_tol=TOLERANCE):
            self._refuse(f"makes evaluation {number} at {exact:g}, and its `moments` declare {moment.level:g}")
        self._check_state(x, f"asks in evaluation {number} for a prediction at")
        if self.place:
            # A user's sampler may make NaN of finite predictions: the network is not to blame then.
            self.guided.finite.note(moment.step, STATE, x, self.place)
        self.made += 1
        return exact

    def _check_state(self, x: Any, did: str) -> None:
        if not isinstance(x, Tensor) or x.shape != self.noise.shape or not torch.is_floating_point(x):
            found = f"{x.dtype} of shape {list(x.shape)}" if isinstance(x, Tensor) else f"a {type(x).__name__}"
            self._refuse(f"{did} {found}, and the noise has shape {list(self.noise.shape)}")

    def _refuse(self, what: str) -> NoReturn:
        raise CellError(
            f"the sampler {self.kind.name}{self.place} {what}",
            where=self.cell.describe(),
            fix="let `moments` and `solve` agree",
            step=min(self.made, len(self.guided.evaluations) - 1) + 1,
        )
