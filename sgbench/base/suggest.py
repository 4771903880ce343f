"""The nearest known name to a misspelt one."""

from __future__ import annotations

import difflib
from collections.abc import Sequence


def suggestion(name: str, known: Sequence[str]) -> str:
    """`, did you mean 'x'?`, or nothing where no known name is near. Swapped letters count as nearest."""
    near = difflib.get_close_matches(name, known, n=len(known) or 1, cutoff=0.5)
    if not near:
        return ""
    swapped = [candidate for candidate in near if sorted(candidate) == sorted(name)]
    return f", did you mean {(swapped or near)[0]!r}?"
