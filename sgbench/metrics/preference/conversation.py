"""The protocol between a scorer and its process; every failure is reported in one sentence.

The process reads JSON lines {"id", "path", "prompt"} from stdin and answers {"id", "score"} on stdout, after a first
{"ready": true}. Each pair is sent after the previous one is answered, so answers have one possible order, and a process
that hangs can be distinguished from a slow one.
"""

import json
import math
import os
import re
import signal
import subprocess
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO, Any

from sgbench.base.errors import NoScoreError

LONGEST_LINE = 1 << 16
TAIL = 1 << 14


class WorkerError(NoScoreError):
    """A process that did not score all pairs. `scores` are those of the first pairs, which it did."""

    scores: tuple[float, ...] = ()


class Conversation:
    """Requests to a process and its answers. Every method raises WorkerError with what went wrong."""

    def __init__(self, name: str, process: subprocess.Popen[bytes], said: IO[bytes]) -> None:
        assert process.stdin is not None
        assert process.stdout is not None
        self.name, self.process, self.said = name, process, said
        self.stdin, self.stdout = process.stdin, process.stdout
        self.expired = False

    def ready(self, seconds: float) -> None:
        """Wait until the process has loaded its network."""
        with self._within(seconds, "did not get ready"):
            answer = self._answer()
        if answer.get("ready") is not True:
            raise self._wrong(f"began with {json.dumps(answer)[:80]} and did not report that it is ready")

    def score(self, index: int, path: Path, prompt: str, seconds: float) -> float:
        """The score of one pair."""
        # ASCII: no character of a prompt can be taken for a line end.
        line = json.dumps({"id": index, "path": str(path), "prompt": prompt}).encode("ascii") + b"\n"
        with self._within(seconds, f"did not score image number {index}"):
            with suppress(BrokenPipeError):
                self.stdin.write(line)
                self.stdin.flush()
            answer = self._answer()
        if answer.get("id") != index or isinstance(answer["id"], bool):
            raise self._wrong(f"answered for number {json.dumps(answer.get('id'))[:40]} when asked for number {index}")
        score = _number(answer.get("score"))
        if score is None:
            given = json.dumps(answer.get("score"))[:40]
            raise self._wrong(f"gave image number {index} the score {given}, which is not a finite number")
        return score

    def finish(self, seconds: float) -> None:
        """Let the process end, without further output and with status 0."""
        with self._within(seconds, "did not end"):
            with suppress(BrokenPipeError):
                self.stdin.close()
            more = self.stdout.readline(LONGEST_LINE)
            if more:
                raise self._wrong(f"answered more than was requested ({_shown(more)})")
            if self.process.wait():
                raise self._ended()

    def end(self) -> None:
        """Kill the process and its children, and wait for it."""
        self._kill()
        self.process.wait()
        with suppress(BrokenPipeError):
            self.stdin.close()
        self.stdout.close()

    @contextmanager
    def _within(self, seconds: float, what: str) -> Iterator[None]:
        """Kill the process at a timeout, which ends every wait for it."""
        timer = threading.Timer(seconds, self._expire)
        timer.daemon = True
        timer.start()
        try:
            yield
        except WorkerError as error:
            if not self.expired:
                raise
            raise self._wrong(f"{what} within {seconds:g} seconds and was ended") from error
        finally:
            timer.cancel()

    def _expire(self) -> None:
        self.expired = True
        self._kill()

    def _kill(self) -> None:
        with suppress(ProcessLookupError, PermissionError):
            os.killpg(self.process.pid, signal.SIGKILL)

    def _answer(self) -> dict[str, Any]:
        line = self.stdout.readline(LONGEST_LINE)
        if not line:
            raise self._ended()
        try:
            answer = json.loads(line)
        except (ValueError, RecursionError):
            answer = None
        if not isinstance(answer, dict):
            raise self._wrong(f"answered {_shown(line)}, which is not a valid answer")
        return answer

    def _ended(self) -> WorkerError:
        with suppress(subprocess.TimeoutExpired):
            self.process.wait(timeout=1)
        status = self.process.returncode
        how = "closed its output" if status is None else f"ended with status {status}"
        if status is not None and status < 0:
            how = f"was ended by signal {-status} ({signal.strsignal(-status)})"
        return self._wrong(how)

    def _wrong(self, what: str) -> WorkerError:
        last = self._last_line()
        return WorkerError(
            f"its process {what}" + (f"; its last message: {last}" if last else ""),
            where=self.name,
            fix="fix what it reports, or make its environment again, and score again",
        )

    def _last_line(self) -> str:
        """The last line of stderr; progress bars end theirs with a carriage return."""
        size = self.said.seek(0, os.SEEK_END)
        self.said.seek(max(size - TAIL, 0))
        lines = [line.strip() for line in re.split(r"[\r\n]+", self.said.read().decode(errors="replace"))]
        return next((line[:300] for line in reversed(lines) if line), "")


def _number(value: object) -> float | None:
    """A JSON value as a finite float, None for anything else."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    try:
        return float(value) if math.isfinite(value) else None
    except OverflowError:
        return None


def _shown(line: bytes) -> str:
    return repr(line[:80].decode(errors="replace").strip())
