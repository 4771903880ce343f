"""Progress as an object that stages report to and that the caller displays."""

from typing import Protocol


class Progress(Protocol):
    """What a stage may report."""

    def begin(self, stage: str, total: int, unit: str) -> None:
        """A stage of `total` units starts."""

    def advance(self, amount: int, doing: str) -> None:
        """`amount` more units are done; `doing` names them."""

    def say(self, line: str) -> None:
        """Report a line that stays visible."""

    def end(self) -> None:
        """The stage is over."""


class Silent:
    """Progress that is not displayed."""

    def begin(self, stage: str, total: int, unit: str) -> None: ...

    def advance(self, amount: int, doing: str) -> None: ...

    def say(self, line: str) -> None: ...

    def end(self) -> None: ...
