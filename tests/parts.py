"""Long tests in seeded parts: `make test` runs the first part, `make test-full` all, CI a rotating slice."""

from __future__ import annotations

import pytest


def parts(count: int) -> pytest.MarkDecorator:
    """Run a test once for each `part` in 0 .. count - 1; all but the first are marked `full`."""
    first, *others = range(count)
    return pytest.mark.parametrize("part", [first, *(pytest.param(part, marks=pytest.mark.full) for part in others)])
