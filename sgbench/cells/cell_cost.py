"""The cost of a cell: the sum over steps and branches of one denoiser call each. Nothing else. No torch."""

from __future__ import annotations

from collections.abc import Callable

from sgbench.cells.cell import Cell
from sgbench.cells.closed_form import kept_macs
from sgbench.cells.program import Call, call_counts
from sgbench.models import catalogue
from sgbench.models.architecture import Macs


def image_macs(cell: Cell, count: Callable[[Call], Macs] | None = None) -> Macs:
    """Multiply-accumulates of one image, each call counted by `count` (the closed form unless given)."""
    architecture = catalogue.entry(cell.model).architecture
    total = Macs(0, 0, 0)
    for call, times in call_counts(cell):
        one = count(call) if count else kept_macs(architecture, call.kept, call.change)
        total = total.plus(one.times(times))
    return total
