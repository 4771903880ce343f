"""What a law is, and how a thing is held against the laws of its kind. No torch at import."""

import random
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Generic, Literal, NamedTuple, TypeVar

from sgbench.base.errors import CellError, UserError
from sgbench.base.user_code import line_of

T = TypeVar("T")
Outcome = Literal["held", "broken", "not applicable"]
SEED = 20260


class BrokenError(Exception):
    """A law does not hold. The text says what was found, with the figure."""


class NotApplicableError(Exception):
    """A law has nothing to say about a thing. The text is the reason."""


class Law(NamedTuple, Generic[T]):
    """One law: what holds, in a few words, and what looks whether it does."""

    name: str
    check: Callable[[T], None]
    """Raises BrokenError or NotApplicableError; any other error is a broken law, too."""


class Verdict(NamedTuple):
    """What became of one law."""

    law: str
    outcome: Outcome
    detail: str = ""
    """What was found, with the figure, or why the law does not apply."""

    def __str__(self) -> str:
        return f"{self.law}: {self.detail}" if self.detail else self.law


def judge(laws: Sequence[Law[T]], thing: T, files: tuple[Path, ...] = ()) -> Iterator[Verdict]:
    """Hold a thing against its laws, one after the other. Where the first is broken the others are not tried.

    `files` are those of the thing's own code: an error is placed at the last line of theirs that it passed.
    """
    first = judge_one(laws[0], thing, files)
    yield first
    for law in laws[1:]:
        if first.outcome == "broken":
            yield Verdict(law.name, "not applicable", "not tried, because the first law is broken")
        else:
            yield judge_one(law, thing, files)


def judge_one(law: Law[T], thing: T, files: tuple[Path, ...] = ()) -> Verdict:
    """Hold a thing against one law."""
    try:
        with same_global_randomness():
            law.check(thing)
    except NotApplicableError as reason:
        return Verdict(law.name, "not applicable", str(reason))
    except BrokenError as found:
        return Verdict(law.name, "broken", str(found))
    except UserError as error:
        return Verdict(law.name, "broken", error.what if isinstance(error, CellError) else str(error).rstrip("."))
    except (Exception, SystemExit) as error:
        # Whatever code of a user's does is told in a sentence.
        at = line_of(error, files) or line_of(error)
        text = " ".join(str(error).split())
        return Verdict(law.name, "broken", f"it fails at {at} ({type(error).__name__}{f': {text}' if text else ''})")
    return Verdict(law.name, "held")


@contextmanager
def same_global_randomness() -> Iterator[None]:
    """The global generators of Python, NumPy and torch begin alike, and are afterwards as they were before.

    So that what draws from them breaks the one law that forbids it, and no other by chance.
    """
    import numpy as np
    import torch

    before = random.getstate(), np.random.get_state()
    try:
        with torch.random.fork_rng(devices=[]):
            seed_global_randomness()
            yield
    finally:
        random.setstate(before[0])
        np.random.set_state(before[1])


def seed_global_randomness(seed: int = SEED) -> None:
    """Put the global generators of Python, NumPy and torch at a beginning."""
    import numpy as np
    import torch

    random.seed(seed)
    np.random.seed(seed)
    torch.manual_seed(seed)


def require_no_global_randomness(work: Callable[[], object]) -> None:
    """Raise BrokenError where some work draws from a global generator: its results would depend on what ran before."""
    import numpy as np
    import torch

    states: dict[str, Callable[[], object]] = {
        "torch's": lambda: torch.get_rng_state().tolist(),
        "NumPy's": lambda: [part.tolist() if isinstance(part, np.ndarray) else part for part in np.random.get_state()],
        "Python's": random.getstate,
    }
    seed_global_randomness()
    before = {name: state() for name, state in states.items()}
    work()
    drawn = [name for name, state in states.items() if state() != before[name]]
    if drawn:
        raise BrokenError(f"it draws from {' and '.join(drawn)} global generator, so results depend on what ran before")
