"""How many different things a cell's images are asked to show. No torch."""

from __future__ import annotations

from sgbench.cells.cell import Cell
from sgbench.cells.prompts import load_prompts
from sgbench.models import catalogue


def choices(cell: Cell) -> int:
    """Classes of the model, or prompts of the cell's set. Raises UserError where the prompts are missing."""
    return len(load_prompts(cell.prompts).prompts) if cell.prompts else catalogue.entry(cell.model).classes
