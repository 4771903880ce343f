"""Errors of a user's metrics and extractors as sentences, with file and line. No torch."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from sgbench.base.errors import CellError, NoScoreError
from sgbench.base.registry import Registry


@contextmanager
def running(registry: Registry[Any], name: str) -> Iterator[None]:
    """Raise NoScoreError, naming file and line, for what a user's code raises in here."""
    try:
        with registry.running(name):
            yield
    except CellError as error:
        raise NoScoreError(error.what, where=error.where, fix=error.fix) from error
