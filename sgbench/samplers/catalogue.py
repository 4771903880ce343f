"""The samplers by name: what they solve and how many evaluations they take. No torch."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple


class SamplerKind(NamedTuple):
    """One sampler as far as suites and costs know it."""

    title: str
    source: str
    evaluations: Callable[[int], int]
    """Evaluations of the guided prediction in a run of so many steps."""
    most_steps: int | None = None
    """Steps beyond which there is nothing new to visit."""
    shifts: bool = False
    """Whether the times of its steps can be shifted."""
    churns: bool = False
    """Whether noise can be added and removed again on the way."""
    stochastic: bool = False
    """Whether fresh noise enters at every step."""
    needs_variance: bool = False
    """Whether the network has to predict the variance of a step, too."""
    works: tuple[str, ...] = ()
    """What to cite: keys of `report/citations/references.bib`."""


def _once(steps: int) -> int:
    return steps


def _twice(steps: int) -> int:
    return 2 * steps - 1


FLOW, SIT = "arXiv 2209.03003", "SiT, arXiv 2401.08740, and SPRINT"
EDM = "arXiv 2206.00364, algorithm 1; with churn, algorithm 2"
SAMPLERS: dict[str, SamplerKind] = {
    "euler": SamplerKind("Euler on the flow-matching clock", FLOW, _once, shifts=True, works=("liu2023rectified",)),
    "heun": SamplerKind("Heun on the flow-matching clock", FLOW, _twice, shifts=True, works=("liu2023rectified",)),
    "euler-maruyama": SamplerKind(
        "Euler-Maruyama, diffusion 2 t, last step without noise",
        SIT,
        _once,
        shifts=True,
        stochastic=True,
        works=("ma2024sit", "park2025sprint"),
    ),
    "edm-heun": SamplerKind("EDM's Heun", EDM, _twice, churns=True, works=("karras2022edm",)),
    "ddim": SamplerKind(
        "DDIM, eta 0, linear betas", "arXiv 2010.02502", _once, most_steps=1000, works=("song2021ddim",)
    ),
    "ddpm": SamplerKind(
        "DDPM, linear betas, learned variance",
        "arXiv 2006.11239 and 2102.09672",
        _once,
        most_steps=1000,
        stochastic=True,
        needs_variance=True,
        works=("ho2020ddpm", "nichol2021iddpm"),
    ),
}
FLOW_SAMPLERS = ("euler", "heun", "euler-maruyama")
DISCRETE_SAMPLERS = ("ddim", "ddpm")
