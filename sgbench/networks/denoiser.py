"""What guidance and sampling ask of a network, whatever its family."""

from __future__ import annotations

from typing import Protocol

from torch import Tensor

from sgbench.guidance.perturbation import Perturbation
from sgbench.models.architecture import Architecture


class Denoiser(Protocol):
    """A network as its authors published it; `prediction.py` turns its output into what samplers work on."""

    @property
    def architecture(self) -> Architecture:
        """The sizes it was built from."""

    def __call__(
        self,
        x: Tensor,
        t: Tensor,
        condition: Tensor,
        tokens: Tensor | None = None,
        change: Perturbation | None = None,
    ) -> Tensor:
        """Raw output (B, C or 2 C, H, W), the first C channels being the prediction.

        x is (B, C, H, W); t (B,) on the family's own clock; condition (B,) holds class indices, num_classes being
        the null class, or is a caption embedding (B, L, channels). t and class indices may also be (1,), for all
        samples. tokens (B, kept) are the indices of the tokens that do work, in any order, or None for all: the
        family says which blocks see only those. change says which blocks are perturbed, numbered in running order.
        """
