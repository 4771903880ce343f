"""Whether predictions are finite, found without making a device wait, and told with step and branch."""

from __future__ import annotations

import torch
from torch import Tensor

from sgbench.base.errors import CellError
from sgbench.cells.cell import Cell


class Finite:
    """Notes of a run's predictions: each is one flag that stays on the device until all of them are asked for.

    A flag per prediction, not one look at the end: samplers that clip turn an infinity into something that looks well.
    """

    def __init__(self) -> None:
        self._notes: list[tuple[int, str]] = []
        self._flags: list[Tensor] = []

    def note(self, step: int, what: str, values: Tensor) -> None:
        """Keep whether `values` are finite, of the prediction `what` in a step counted from 0."""
        self._notes.append((step, what))
        self._flags.append(torch.isfinite(values).all())

    def require(self, cell: Cell) -> None:
        """Raise CellError with the first prediction that was not finite. Waits for the device, once."""
        if not self._flags:
            return
        fine = torch.stack(self._flags).tolist()
        for (step, what), good in zip(self._notes, fine, strict=True):
            if not good:
                raise CellError(
                    f"the denoiser's prediction is not finite in step {step + 1} of {cell.sampler.steps} ({what})",
                    where=cell.describe(),
                    fix="lower the scale, or use dtype: float32",
                    step=step + 1,
                    branch=what,
                )
