"""A scorer in a process of its own, in this Python or another: `worker_main.py` runs there, this module here.

The process reads JSON lines {"id", "path", "prompt"} from stdin and answers {"id", "score"} on stdout, after a first
{"ready": true}. Each pair is sent after the previous one is answered, so answers have one possible order, and a process
that hangs can be distinguished from a slow one. Every failure is reported in one sentence.
"""

import json
import math
import os
import re
import signal
import subprocess
import sys
import tempfile
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, suppress
from pathlib import Path
from typing import IO, Any

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image

from sgbench.base.errors import NoScoreError
from sgbench.metrics.instrument import Judge
from sgbench.metrics.preference.environments import environment
from sgbench.metrics.preference.pairs import Images, check_pairs

SCRIPT = Path(__file__).with_name("worker_main.py")
START_SECONDS, SCORE_SECONDS = 1800.0, 600.0
OFFLINE = {"HF_HUB_OFFLINE": "1"}
LONGEST_LINE = 1 << 16
TAIL = 1 << 14
Score = Callable[[Images, Sequence[str]], NDArray[np.float64]]


def load(judge: Judge, paths: Sequence[Path], device: torch.device) -> AbstractContextManager[Score]:
    """A judge whose own package scores, in the environment that it has or in this one.

    Package hpsv2 would run here, but lacks a file, imports a drawing module, changes warnings of the whole process and
    reads its checkpoint for every image; a second path is a JSON of open_clip's kind for a ViT-H-14 of another size.
    """
    python = environment(judge.name) if judge.requirements else Path(sys.executable)
    return worker(judge.name, python, paths, str(device))


@contextmanager
def worker(
    name: str,
    python: Path,
    weights: Sequence[Path],
    device: str,
    script: Path = SCRIPT,
    start_seconds: float = START_SECONDS,
    score_seconds: float = SCORE_SECONDS,
) -> Iterator[Score]:
    """A scorer by one process without network access, which ends with the context, as do its children.

    It gives one score (n,) for each pair, images uint8 (H, W, 3) of any sizes, any characters in prompts. Raises
    UserError for images of another kind; NoScoreError for a process that does not start, ends, hangs, gives an
    unexpected answer or a score that is not finite.
    """
    # Isolated: neither the script's folder nor PYTHONPATH may shadow a package of the environment.
    command = [str(python), "-I", str(script), "--scorer", name, "--device", device, "--weights"]
    command += [str(path.absolute()) for path in weights]
    with tempfile.TemporaryDirectory(prefix="sgbench-score-") as folder, Path(folder, "stderr").open("w+b") as said:
        process = Conversation(name, command, said)

        def score(images: Images, prompts: Sequence[str]) -> NDArray[np.float64]:
            check_pairs(name, images, prompts)
            scores = []
            for index, prompt in enumerate(prompts):
                path = Path(folder, f"{index}.png")
                try:
                    Image.fromarray(images[index]).save(path, compress_level=1)
                except OSError as error:
                    raise NoScoreError(
                        f"an image cannot be written for its process ({error.strerror})",
                        where=name,
                        fix=f"make room in {tempfile.gettempdir()}, or set TMPDIR to another folder",
                    ) from error
                scores.append(process.score(index, path, prompt, score_seconds))
                path.unlink()
            return np.array(scores, dtype=np.float64)

        try:
            process.ready(start_seconds)
            yield score
            process.finish(score_seconds)
        finally:
            process.end()


class Conversation:
    """Requests to a process and its answers. Every method raises NoScoreError with what went wrong."""

    def __init__(self, name: str, command: Sequence[str], said: IO[bytes]) -> None:
        self.name, self.said, self.expired = name, said, False
        try:
            self.process = subprocess.Popen(
                command,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                # A file never fills up as a pipe does, so the process never blocks on stderr.
                stderr=said,
                env=os.environ | OFFLINE,
                start_new_session=True,
            )
        except OSError as error:
            raise NoScoreError(
                f"its Python cannot be started ({error.strerror})",
                where=name,
                fix=f"check {command[0]}, or make its environment again",
            ) from error
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        self.stdin, self.stdout = self.process.stdin, self.process.stdout

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
        score = answer.get("score")
        if isinstance(score, int | float) and not isinstance(score, bool):
            # A whole number may be too great for a float.
            with suppress(OverflowError):
                if math.isfinite(score):
                    return float(score)
        given = json.dumps(score)[:40]
        raise self._wrong(f"gave image number {index} the score {given}, which is not a finite number")

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
        except NoScoreError as error:
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
        with suppress(ValueError, RecursionError):
            answer = json.loads(line)
            if isinstance(answer, dict):
                return answer
        raise self._wrong(f"answered {_shown(line)}, which is not a valid answer")

    def _ended(self) -> NoScoreError:
        with suppress(subprocess.TimeoutExpired):
            self.process.wait(timeout=1)
        status = self.process.returncode
        how = "closed its output" if status is None else f"ended with status {status}"
        if status is not None and status < 0:
            how = f"was ended by signal {-status} ({signal.strsignal(-status)})"
        return self._wrong(how)

    def _wrong(self, what: str) -> NoScoreError:
        """The error for what the process did, with the last line of its stderr."""
        size = self.said.seek(0, os.SEEK_END)
        self.said.seek(max(size - TAIL, 0))
        # Progress bars end their lines with a carriage return.
        lines = re.split(r"[\r\n]+", self.said.read().decode(errors="replace"))
        last = next((line.strip()[:300] for line in reversed(lines) if line.strip()), "")
        return NoScoreError(
            f"its process {what}" + (f"; its last message: {last}" if last else ""),
            where=self.name,
            fix="fix what it reports, or make its environment again, and score again",
        )


def _shown(line: bytes) -> str:
    return repr(line[:80].decode(errors="replace").strip())
