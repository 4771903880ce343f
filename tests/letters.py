"""Sizes that a family is asked for in tests of all families: some were published in one size only."""

from __future__ import annotations

import contextlib

from sgbench.models.families import FAMILIES
from sgbench.models.family import SIZES, Request


def smallest(family: str) -> str:
    """The letter of the smallest size that the family has."""
    for letter in SIZES:
        with contextlib.suppress(ValueError):
            FAMILIES[family].sized(Request(letter, 2, 8, None))
            return letter
    raise AssertionError(f"{family} has no size")
