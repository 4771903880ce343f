"""The exceptions that users see."""

from sgbench.base.printable import printable, shortened

# Names and values from files may be of any length.
LONGEST_PART = 1_200


def plain(error: Exception) -> str:
    """An error of another library as one line, without the framing of a pydantic report."""
    listed = getattr(error, "errors", None)
    text = str(listed()[0]["msg"]) if callable(listed) else str(error)
    return text.removeprefix("Value error, ").strip().partition("\n")[0] or type(error).__name__


class UserError(Exception):
    """Something that a user can fix: what is wrong, where, and what to do about it.

    One line that is safe to print, whatever characters the names in it contain.
    """

    def __init__(self, what: str, *, where: str, fix: str) -> None:
        what, where, fix = (printable(shortened(part, LONGEST_PART)) for part in (what, where, fix))
        super().__init__(f"{where}: {what}; {fix}.")
        self.what = what
        self.where = where
        self.fix = fix


class NoScoreError(UserError):
    """A set of images that cannot be scored, while others can: too few, missing, black, all alike."""


class CellError(UserError):
    """A failure of one cell (its numbers, memory or device) that does not concern other cells.

    `step` counts from 1; it and `branch` say where in a run of the sampler, if anywhere.
    """

    def __init__(self, what: str, *, where: str, fix: str, step: int | None = None, branch: str | None = None) -> None:
        super().__init__(what, where=where, fix=fix)
        self.step, self.branch = step, branch
