"""Whether a function takes what it will be called with, found before it is called."""

import inspect
from collections.abc import Callable
from typing import Any


def refusal_of(function: Callable[..., Any], *arguments: str, **named: Any) -> str:
    """What a function takes, where it does not take `arguments`, which are called so, or `named`; else nothing."""
    try:
        signature = inspect.signature(function)
    except (TypeError, ValueError):
        # Functions of C modules need not tell.
        return ""
    try:
        signature.bind(*arguments, **named)
    except TypeError:
        return str(signature)
    return ""
