"""A cell: one point of the sweep, frozen and hashable, with nothing in it that does not change the images."""

from __future__ import annotations

from typing import NamedTuple


class Guidance(NamedTuple):
    """One guidance rule with its settings; a rule that has no use for a setting holds its neutral value."""

    rule: str
    scale: float
    gamma_strong: float
    gamma_weak: float


class Sampler(NamedTuple):
    """How the probability-flow equation is solved."""

    name: str
    steps: int


class Cell(NamedTuple):
    """Everything an image depends on, besides its own index."""

    model: str
    guidance: Guidance
    sampler: Sampler
    seed: int
    labels: str
    dtype: str
    autoencoder: str = ""
    """What decodes latents: a folder, a hub id or `none`; empty for models that draw pixels."""

    def describe(self) -> str:
        """The cell in a few words, for progress lines and error messages."""
        g = self.guidance
        parts = [self.model, g.rule]
        if g.rule != "none":
            parts.append(f"w={g.scale:g}")
        if g.gamma_strong or g.gamma_weak:
            gammas = f"{g.gamma_strong:g}" if g.rule == "none" else f"{g.gamma_strong:g}/{g.gamma_weak:g}"
            parts.append(f"gamma={gammas}")
        parts.append(f"{self.sampler.steps} steps")
        return " ".join(parts)
