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


SAMPLERS: dict[str, SamplerKind] = {
    "euler": SamplerKind("Euler on the flow-matching clock", "arXiv 2209.03003", lambda steps: steps),
    "edm-heun": SamplerKind("EDM's Heun, no churn", "arXiv 2206.00364, algorithm 1", lambda steps: 2 * steps - 1),
    "ddim": SamplerKind("DDIM, eta 0, linear betas", "arXiv 2010.02502", lambda steps: steps, most_steps=1000),
}
