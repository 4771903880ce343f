"""Names and values from a known set: any other is refused early, with the nearest one as a suggestion. No torch."""

import difflib
from collections.abc import Iterable, Sequence
from typing import Any, get_args

from sgbench.base.errors import UserError


def require_choice(value: object, choices: Any, where: str) -> None:
    """Raise UserError unless `value` is one of the Literal type `choices`."""
    known = get_args(choices)
    if value not in known:
        fix = f"choose one of {', '.join(map(repr, known))}"
        raise UserError(f"{value!r} is not a known value", where=where, fix=fix)


def suggestion(name: str, known: Sequence[str]) -> str:
    """`, did you mean 'x'?`, or an empty text where no known name is close. Swapped letters count as closest."""
    near = difflib.get_close_matches(name, known, n=len(known) or 1, cutoff=0.5)
    if not near:
        return ""
    swapped = [candidate for candidate in near if sorted(candidate) == sorted(name)]
    return f", did you mean {(swapped or near)[0]!r}?"


def unknown(what: str, name: str, known: Iterable[str], where: str, fix: str = "") -> UserError:
    """The error for a name that is not among the known ones."""
    names = list(known)
    problem = f"there {'are' if what.endswith('s') else 'is'} no {what} {name!r}{suggestion(name, names)}"
    return UserError(problem, where=where, fix=fix or f"choose one of: {', '.join(names)}")
