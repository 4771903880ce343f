"""Values that choose a branch of code: refused where they are written down, long before they are used. No torch."""

from __future__ import annotations

from typing import Any, get_args

from sgbench.base.errors import UserError


def require_choice(value: object, choices: Any, where: str) -> None:
    """Raises UserError unless `value` is one of those of the Literal type `choices`."""
    known = get_args(choices)
    if value not in known:
        raise UserError(
            f"{value!r} is not one of its values",
            where=where,
            fix=f"choose one of {', '.join(map(repr, known))}, or teach every place that asks for it the new one",
        )
