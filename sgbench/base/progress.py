"""Progress as an object that is handed in: the stages say what they do, the caller decides how it looks."""

from __future__ import annotations

from typing import Protocol


class Progress(Protocol):
    """What a stage may tell."""

    def begin(self, stage: str, total: int, unit: str) -> None:
        """A stage of `total` units starts."""

    def advance(self, amount: int, doing: str) -> None:
        """`amount` more units are done; `doing` says of what."""

    def say(self, line: str) -> None:
        """A line worth keeping."""

    def end(self) -> None:
        """The stage is over."""


class Silent:
    """Progress that nobody watches."""

    def begin(self, stage: str, total: int, unit: str) -> None: ...

    def advance(self, amount: int, doing: str) -> None: ...

    def say(self, line: str) -> None: ...

    def end(self) -> None: ...
