"""The one exception a user should ever see."""

from __future__ import annotations


class UserError(Exception):
    """Something a person can put right: what is wrong, where, and what to do about it."""

    def __init__(self, what: str, *, where: str, fix: str) -> None:
        super().__init__(f"{where}: {what}; {fix}.")
        self.what = what
        self.where = where
        self.fix = fix
