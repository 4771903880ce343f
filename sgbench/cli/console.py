"""Output: progress on stderr (bars with ETA on a terminal, plain lines in a pipe), and no escape sequences anywhere.

Names of files, prompts and messages of other libraries may contain escape sequences, so all output passes `Neutral`.
"""

from __future__ import annotations

import sys
import time
from typing import TYPE_CHECKING, Any, ClassVar, TextIO

from sgbench.base.printable import printable
from sgbench.base.progress import Progress

if TYPE_CHECKING:
    from rich.progress import Progress as RichProgress

PLAIN_EVERY_SECONDS = 5.0


class Neutral:
    """A text stream that escapes what could control a terminal; only newlines and tabs pass."""

    def __init__(self, stream: TextIO) -> None:
        self.stream = stream

    def write(self, text: str) -> int:
        """Write a text and return its length."""
        self.stream.write(printable(text, keep="\n\t"))
        return len(text)

    def __getattr__(self, name: str) -> Any:
        return getattr(self.stream, name)


def neutralise_output() -> None:
    """Escape what is written to stdout and stderr from now on."""
    for name in ("stdout", "stderr"):
        stream = getattr(sys, name)
        if not isinstance(stream, Neutral):
            setattr(sys, name, Neutral(stream))


def make_progress() -> Progress:
    """Bars on a terminal, lines in a file or a pipe."""
    return _Bars() if sys.stderr.isatty() else _Lines()


def restore_terminal() -> None:
    """Stop a bar that an error or Ctrl-C left on the screen, and show the cursor again."""
    if _Bars.standing is not None:
        _Bars.standing.stop()


def duration(seconds: float) -> str:
    """Seconds as h:mm:ss or m:ss."""
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02d}:{rest:02d}" if hours else f"{minutes}:{rest:02d}"


def long_duration(seconds: float) -> str:
    """An estimate in minutes, hours or days."""
    if seconds < 2 * 3600:
        return f"{seconds / 60:.1f} minutes"
    return f"{seconds / 3600:.1f} hours" if seconds < 48 * 3600 else f"{seconds / 86400:,.0f} days"


class _Lines:
    """A line every few seconds, with the time left."""

    def begin(self, stage: str, total: int, unit: str) -> None:
        self._stage, self._total, self._unit = stage, total, unit
        self._done = self._fresh = 0
        self._started = self._last = time.monotonic()
        self.say(f"{stage}: {total} {unit}s")

    def advance(self, amount: int, doing: str) -> None:
        self._done += amount
        now = time.monotonic()
        if not doing.endswith("(kept)"):
            self._fresh += amount
        elif self._fresh == 0:
            self._started = now
        if now - self._last >= PLAIN_EVERY_SECONDS and self._fresh:
            self._last = now
            left = (now - self._started) / self._fresh * (self._total - self._done)
            self.say(f"{self._stage}: {self._done}/{self._total} {self._unit}s, {duration(left)} left, {doing}")

    def say(self, line: str) -> None:
        print(line, file=sys.stderr, flush=True)

    def end(self) -> None:
        kept = self._done - self._fresh
        spent = duration(time.monotonic() - self._started)
        self.say(f"{self._stage}: done in {spent}" + (f", {kept} {self._unit}s were already there" if kept else ""))


class _Bars:
    """A bar with the share done, the time spent and the time left."""

    standing: ClassVar[RichProgress | None] = None

    def begin(self, stage: str, total: int, unit: str) -> None:
        from rich import progress
        from rich.console import Console

        self._stage, self._unit, self._kept = stage, unit, 0
        self._bars = progress.Progress(
            progress.TextColumn("{task.fields[stage]:>6}"),
            progress.BarColumn(),
            progress.MofNCompleteColumn(),
            progress.TextColumn(f"{unit}s"),
            progress.TimeElapsedColumn(),
            progress.TextColumn("left"),
            progress.TimeRemainingColumn(),
            # Brackets in a name are not markup.
            progress.TextColumn("{task.fields[doing]}", markup=False),
            # The stream below Neutral: a bar writes escape sequences of its own.
            console=Console(file=getattr(sys.stderr, "stream", sys.stderr)),
        )
        self._bars.start()
        _Bars.standing = self._bars
        self._task = self._bars.add_task(stage, total=total, stage=stage, doing="")

    def advance(self, amount: int, doing: str) -> None:
        self._kept += amount if doing.endswith("(kept)") else 0
        self._bars.update(self._task, advance=amount, doing=printable(doing))

    def say(self, line: str) -> None:
        # A running bar has replaced sys.stderr by a stream of its own.
        print(printable(line, keep="\n\t"), file=sys.stderr, flush=True)

    def end(self) -> None:
        self._bars.update(self._task, doing="")
        self._bars.stop()
        _Bars.standing = None
        if self._kept:
            self.say(f"{self._stage}: {self._kept} {self._unit}s were already there")
