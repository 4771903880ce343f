"""The one exception a user should ever see."""

from __future__ import annotations


def plain(error: Exception) -> str:
    """An error of another library as one line, without the framing of a pydantic report."""
    listed = getattr(error, "errors", None)
    text = str(listed()[0]["msg"]) if callable(listed) else str(error)
    return text.removeprefix("Value error, ").strip().partition("\n")[0] or type(error).__name__


class UserError(Exception):
    """Something a person can put right: what is wrong, where, and what to do about it."""

    def __init__(self, what: str, *, where: str, fix: str) -> None:
        super().__init__(f"{where}: {what}; {fix}.")
        self.what = what
        self.where = where
        self.fix = fix


class NoScoreError(UserError):
    """A set of images that has no score, whatever others have: too few, missing, black, all alike."""
