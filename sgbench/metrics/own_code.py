"""Errors of a user's metrics and extractors as sentences, with file and line. No torch."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from sgbench.base.errors import NoScoreError, UserError
from sgbench.base.registry import Registry
from sgbench.base.user_code import line_of


@contextmanager
def own_code(registry: Registry[Any], name: str) -> Iterator[None]:
    """While a thing of a registry runs: an error of a user's becomes a NoScoreError that names file and line.

    Errors of what is built in go through: they are ours.
    """
    try:
        yield
    except UserError:
        raise
    except Exception as error:
        if registry.built_in(name):
            raise
        origin = registry.origin(name)
        raise NoScoreError(
            f"the {registry.what} {name} fails ({type(error).__name__}: {error})",
            where=line_of(error, origin.files) or origin.text,
            fix="correct that line",
        ) from error
