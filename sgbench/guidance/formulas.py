"""The formulas that rules have in common. Torch is imported by whoever calls them."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from typing import TYPE_CHECKING, TypeVar

if TYPE_CHECKING:
    import torch
    from torch import Tensor

T = TypeVar("T")


def combine(strong: T, weak: T, scale: float) -> T:
    """weak + w (strong - weak); w = 1 is the strong prediction (arXiv 2601.01608, eq. 3 and 7)."""
    return weak + scale * (strong - weak)  # type: ignore[operator]


def add_perturbed_guidance(guided: T, strong: T, perturbed: T, strength: float) -> T:
    """Away from a perturbed prediction, on top of other guidance: guided + s (strong - perturbed)."""
    return guided + strength * (strong - perturbed)  # type: ignore[operator]


def along(vector: Tensor, axis: Tensor) -> Tensor:
    """The part of a vector (B, C, H, W) along another, per sample; 0 along one that is 0."""
    dims = tuple(range(1, vector.ndim))
    share = (vector * axis).sum(dims, keepdim=True) / _not_zero(axis.square().sum(dims, keepdim=True))
    return share * axis


def rescale(guided: Tensor, strong: Tensor, share: float) -> Tensor:
    """CFG-rescale: guided (phi std(strong) / std(guided) + 1 - phi), deviations per sample over (C, H, W).

    Shrinks any rule's prediction (B, C, H, W) towards the strong one's spread; 0 changes nothing (Lin et al., arXiv
    2305.08891, section 3.4). The prediction is the family's: velocity, noise, or EDM's denoised image.
    """
    dims = tuple(range(1, guided.ndim))
    ratio = strong.std(dims, keepdim=True) / _not_zero(guided.std(dims, keepdim=True))
    return guided * (share * ratio + (1 - share))


def _not_zero(divisor: Tensor) -> Tensor:
    """1 where it is 0, as of fresh networks, which predict nothing but zeros; else the same bit for bit."""
    return divisor + (divisor == 0)


@cache
def constant(matrix: Callable[[int], Tensor], side: int, dtype: torch.dtype, device: torch.device) -> Tensor:
    """A matrix that depends on the side of an image alone, made and brought to the device once."""
    return matrix(side).to(device, dtype)
