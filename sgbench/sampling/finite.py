"""Whether the predictions of a run are finite."""

import torch
from torch import Tensor

from sgbench.base.errors import CellError
from sgbench.cells.cell import Cell

STATE = "sampler's state"


class FiniteCheck:
    """Whether the predictions of a run are finite: one flag each, on the device until the end of the run.

    The final state alone would not show it: samplers that clip turn an infinity into finite values.
    """

    def __init__(self) -> None:
        self._notes: list[tuple[int, str, str, Tensor]] = []

    def note(self, step: int, what: str, values: Tensor, place: str = "") -> None:
        """Record whether `values`, of the prediction `what` in a step counted from 0, are finite.

        `place` has the file and line of a user's function that made them.
        """
        self._notes.append((step, what, place, torch.isfinite(values).all()))

    def require(self, cell: Cell) -> None:
        """Raise CellError with the first prediction that was not finite. Waits for the device, once."""
        if not self._notes:
            return
        flags = torch.stack([flag for *_, flag in self._notes]).tolist()
        for (step, what, place, _), finite in zip(self._notes, flags, strict=True):
            if not finite:
                when = f"is not finite in step {step + 1} of {cell.sampler.steps}"
                # What a user's function made is not the network's fault.
                made = f"the {what} {when}{place}" if place or what == STATE else ""
                raise CellError(
                    made or f"the denoiser's prediction {when} ({what})",
                    where=cell.describe(),
                    fix="correct that function" if place else "lower the scale, or use dtype: float32",
                    step=step + 1,
                    branch=what,
                )
