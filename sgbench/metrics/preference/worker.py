"""A scorer in a process of its own, in this Python or another: `worker_main.py` runs there, this module here."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from sgbench.metrics.instrument import Judge
from sgbench.metrics.preference.conversation import Conversation, WorkerError
from sgbench.metrics.preference.environments import environment
from sgbench.metrics.preference.pairs import Images, check_pairs, checked

if TYPE_CHECKING:
    import torch

SCRIPT = Path(__file__).with_name("worker_main.py")
START_SECONDS, SCORE_SECONDS = 1800.0, 600.0
OFFLINE = {"HF_HUB_OFFLINE": "1"}


def load(judge: Judge, paths: Sequence[Path], device: torch.device) -> WorkerScorer:
    """A judge whose own package scores, in the environment that it has or in this one.

    Package hpsv2 would run here, but lacks a file, imports a drawing module, changes warnings of the whole process and
    reads its checkpoint for every image; a second path is a JSON of open_clip's kind for a ViT-H-14 of another size.
    """
    python = environment(judge.name) if judge.requirements else Path(sys.executable)
    return WorkerScorer(judge.name, python, paths, str(device))


class WorkerScorer:
    """Pairs to raw scores by `worker_main.py` under the interpreter `python`, without network access.

    Inside a `with`, one process loads `weights` once and serves all calls; outside, each call has its own. A process
    and its children end with the `with` or the call.
    """

    def __init__(
        self,
        name: str,
        python: Path,
        weights: Sequence[Path],
        device: str,
        script: Path = SCRIPT,
        start_seconds: float = START_SECONDS,
        score_seconds: float = SCORE_SECONDS,
    ) -> None:
        self.name = name
        self.start_seconds, self.score_seconds = start_seconds, score_seconds
        # Isolated: neither the script's folder nor PYTHONPATH may shadow a package of the environment.
        self.command = [str(python), "-I", str(script), "--scorer", name, "--device", device, "--weights"]
        self.command += [str(path.absolute()) for path in weights]
        self._open: tuple[ExitStack, Path, Conversation] | None = None

    def __enter__(self) -> WorkerScorer:
        with ExitStack() as stack:
            folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="sgbench-score-")))
            process = stack.enter_context(self._started(folder))
            process.ready(self.start_seconds)
            self._open = stack.pop_all(), folder, process
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        assert self._open is not None
        stack, _, process = self._open
        self._open = None
        with stack:
            if kind is None:
                process.finish(self.score_seconds)

    def __call__(self, images: Images, prompts: Sequence[str]) -> NDArray[np.float64]:
        """One score (n,) for each pair, images uint8 (H, W, 3) of any sizes, any characters in prompts.

        Raises UserError for images of another kind; WorkerError, with the scores that came before, for a process that
        does not start, ends, hangs, gives an unexpected answer or a score that is not finite.
        """
        check_pairs(self.name, images, prompts)
        scores: list[float] = []
        try:
            if self._open is not None:
                self._ask(images, prompts, scores)
            else:
                with self:
                    self._ask(images, prompts, scores)
        except WorkerError as error:
            error.scores = tuple(scores)
            raise
        except OSError as error:
            unwritten = WorkerError(
                f"an image cannot be written for its process ({error.strerror})",
                where=self.name,
                fix=f"make room in {tempfile.gettempdir()}, or set TMPDIR to another folder",
            )
            unwritten.scores = tuple(scores)
            raise unwritten from error
        return np.array(scores, dtype=np.float64)

    def _ask(self, images: Images, prompts: Sequence[str], scores: list[float]) -> None:
        assert self._open is not None
        _, folder, process = self._open
        for index, prompt in enumerate(prompts):
            path = folder / f"{index}.png"
            Image.fromarray(checked(self.name, images[index], index)).save(path, compress_level=1)
            scores.append(process.score(index, path, prompt, self.score_seconds))
            path.unlink()

    @contextmanager
    def _started(self, folder: Path) -> Iterator[Conversation]:
        said = (folder / "stderr").open("w+b")
        try:
            process = subprocess.Popen(
                self.command,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                # A file never fills up as a pipe does, so the process never blocks on stderr.
                stderr=said,
                env=os.environ | OFFLINE,
                start_new_session=True,
            )
        except OSError as error:
            said.close()
            raise WorkerError(
                f"its Python cannot be started ({error.strerror})",
                where=self.name,
                fix=f"check {self.command[0]}, or make its environment again",
            ) from error
        conversation = Conversation(self.name, process, said)
        try:
            yield conversation
        finally:
            conversation.end()
            said.close()
