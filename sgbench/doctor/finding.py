"""What the doctor finds: a file, what is wrong with it, and what to do."""

from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

RUN = "`sgbench run` with its suite makes it again"
SCORE = "`sgbench score` with its suite makes it again"


class Finding(NamedTuple):
    """Something that is wrong, or worth knowing; `repair` fixes it where that loses nothing."""

    where: Path
    what: str
    remedy: str
    repair: Callable[[], object] | None = None
    problem: bool = True
    """False for a note, which does not fail the check."""

    def as_dict(self, repaired: bool) -> dict[str, Any]:
        """The finding as plain data."""
        return {
            "where": str(self.where),
            "what": self.what,
            "remedy": self.remedy,
            "problem": self.problem,
            "repairable": self.repair is not None,
            "repaired": repaired,
        }


def note(where: Path, what: str, remedy: str, repair: Callable[[], object] | None = None) -> Finding:
    """A finding that is not a problem."""
    return Finding(where, what, remedy, repair, problem=False)
