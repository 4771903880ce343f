"""What guidance and sampling ask of a model, whatever its family."""

from __future__ import annotations

from typing import Protocol

from torch import Tensor

from sgbench.models.architecture import DiTArchitecture, MaskDiTArchitecture


class Denoiser(Protocol):
    """A network that predicts the velocity noise - image of x_t = (1 - t) image + t noise."""

    @property
    def architecture(self) -> DiTArchitecture | MaskDiTArchitecture:
        """The sizes it was built from."""

    def __call__(self, x: Tensor, t: Tensor, condition: Tensor, tokens: Tensor | None = None) -> Tensor:
        """Velocity (B, C, H, W).

        x is (B, C, H, W); t (B,) in [0, 1], 1 being noise; condition (B,) holds class indices, num_classes
        being the null class. tokens (B, kept) are the indices of the tokens that do work, in any order, or None
        for all: the family says which blocks see only those.
        """
