"""How laws compare tensors. Errors are shares of the largest value, so that they hold for any scale and processor."""

import torch
from torch import Tensor

from sgbench.conformance.law import BrokenError

# Processors sum in different orders, and by the number of rows: a few hundred roundings of float32, at most.
ROUNDING = 512 * torch.finfo(torch.float32).eps
"""6e-5: how far two ways to one float32 result may lie apart, as a share of its largest value."""


def distance(found: Tensor, expected: Tensor) -> float:
    """The largest difference as a share of the largest expected value; infinite where one is not finite."""
    found, expected = found.detach().double(), expected.detach().double()
    if not (torch.isfinite(found).all() and torch.isfinite(expected).all()):
        return float("inf")
    difference = float((found - expected).abs().max())
    return difference / (float(expected.abs().max()) or 1.0) if difference else 0.0


def require_close(found: Tensor, expected: Tensor, what: str, tolerance: float = ROUNDING) -> None:
    """Raise BrokenError, `what` and the figure, where two results lie further apart than rounding explains."""
    apart = distance(found, expected)
    if apart > tolerance:
        raise BrokenError(f"{what} by {apart:.2g} of the largest value (rounding explains {tolerance:.0e})")


def require_equal(found: Tensor, expected: Tensor, what: str) -> None:
    """Raise BrokenError, `what` and the figure, where two results are not the same bit for bit."""
    if not torch.equal(found, expected):
        raise BrokenError(f"{what} by {distance(found, expected):.2g} of the largest value")


def require_like(found: object, wanted: Tensor, what: str, place: str = "") -> None:
    """Raise BrokenError unless something is a finite tensor of the shape and type of another.

    `place` is that of the user's function which made it, as ` (FILE, line N)`.
    """
    if not isinstance(found, Tensor):
        raise BrokenError(f"{what} is a {type(found).__name__}, not a tensor{place}")
    if found.shape != wanted.shape:
        raise BrokenError(f"{what} has the shape {list(found.shape)}, not {list(wanted.shape)}{place}")
    if found.dtype != wanted.dtype:
        raise BrokenError(f"{what} is {_named(found.dtype)}, not {_named(wanted.dtype)}{place}")
    bad = int((~torch.isfinite(found)).sum())
    if bad:
        raise BrokenError(f"{what} has {bad} of {found.numel()} values that are not finite{place}")


def _named(dtype: torch.dtype) -> str:
    return str(dtype).removeprefix("torch.")
