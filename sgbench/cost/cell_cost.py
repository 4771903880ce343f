"""The cost of a cell: the sum over steps and branches of one denoiser call each. Nothing else. No torch."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

from sgbench.cost.closed_form import Macs, call_macs
from sgbench.guidance import RULES, Branch
from sgbench.models import catalogue
from sgbench.sampling.samplers import SAMPLERS
from sgbench.suite.cell import Cell


class Call(NamedTuple):
    """One kind of denoiser call and how often an image needs it."""

    branch: Branch
    gamma: float
    per_image: int


def calls(cell: Cell) -> list[Call]:
    """The denoiser calls of one image, branch by branch."""
    evaluations = SAMPLERS[cell.sampler.name].evaluations(cell.sampler.steps)
    return [Call(branch, branch.gamma(cell.guidance), evaluations) for branch in RULES[cell.guidance.rule].branches]


def image_macs(cell: Cell, count: Callable[[Call], Macs] | None = None) -> Macs:
    """Multiply-accumulates of one image, each call counted by `count` (the closed form unless given)."""
    architecture = catalogue.entry(cell.model).architecture
    total = Macs(0, 0, 0)
    for call in calls(cell):
        one = count(call) if count else call_macs(architecture, call.gamma)
        total = total.plus(one.times(call.per_image))
    return total
