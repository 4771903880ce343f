"""How many digits of a value its error leaves."""

from __future__ import annotations

import math


def with_error(value: float, error: float) -> str:
    """A value and its standard error, to the digits that the error leaves."""
    if value != value:
        return ""
    digits = decimals(error)
    return f"{value:.{digits}f} ± {error:.{digits}f}"


def decimals(error: float) -> int:
    """Decimals that show two digits of an error, three at least: small kernel distances need more."""
    return 3 if not 0 < error < 0.005 else min(9, 1 - math.floor(math.log10(error)))
