"""Processes of `python SCRIPT ARGUMENTS` in which what a bench imports is imported before they start.

multiprocessing's fork server imports it once and forks a child for each: a start takes no time, where a new Python
needs five seconds. All else is as in a new process: nothing of a test's process or of another child is in it. It has as
many threads of torch as the test's process had when its first one was started.
"""

from __future__ import annotations

import contextlib
import multiprocessing
import os
import resource
import runpy
import shutil
import signal
import subprocess
import sys
import tempfile
import weakref
from collections.abc import Mapping
from multiprocessing import forkserver
from pathlib import Path

ROOT = Path(__file__).parents[1]
_FORK_SERVER = multiprocessing.get_context("forkserver")
_FORK_SERVER.set_forkserver_preload(["tests.warm_imports"])


class Warm:
    """Such a process, used as a `subprocess.Popen` with both outputs as text.

    `largest` limits the bytes of a file that it may write.
    """

    def __init__(
        self,
        *command: str | Path,
        cwd: Path | None = None,
        env: Mapping[str, str] | None = None,
        largest: int | None = None,
    ) -> None:
        self.args = [str(word) for word in command]
        folder, environment = Path(tempfile.mkdtemp()), dict(os.environ if env is None else env)
        weakref.finalize(self, shutil.rmtree, folder, ignore_errors=True)
        self._outputs = folder / "out", folder / "err"
        given = self.args, self._outputs, str(cwd or Path.cwd()), environment, largest
        # A test that fails leaves none behind.
        self._process = _FORK_SERVER.Process(target=_run, args=given, daemon=True)
        # The server finds its imports from where it is started.
        with contextlib.chdir(ROOT):
            forkserver.ensure_running()
        self._process.start()
        assert self._process.pid is not None
        self.pid = self._process.pid

    @property
    def returncode(self) -> int | None:
        """As subprocess has it: negative for a signal, None while it runs."""
        return self._process.exitcode

    def poll(self) -> int | None:
        """The status, or None."""
        return self.returncode

    def wait(self, timeout: float | None = None) -> int:
        """The status once it has ended; raises TimeoutExpired."""
        self._process.join(timeout)
        if self.returncode is None:
            raise subprocess.TimeoutExpired(self.args, timeout or 0)
        return self.returncode

    def communicate(self, timeout: float | None = None) -> tuple[str, str]:
        """What it wrote on both outputs, once it has ended."""
        self.wait(timeout)
        return self._read(0), self._read(1)

    def told(self) -> str:
        """What it wrote on stderr so far."""
        return self._read(1)

    def _read(self, output: int) -> str:
        path = self._outputs[output]
        return path.read_text() if path.exists() else ""

    def send_signal(self, number: int) -> None:
        """Send it a signal, unless it has ended."""
        if self.poll() is None:
            os.kill(self.pid, number)

    def kill(self) -> None:
        """End it at once."""
        self.send_signal(signal.SIGKILL)


def run(*command: str | Path, check: bool = False, **options: object) -> subprocess.CompletedProcess[str]:
    """Run a command to its end, as `subprocess.run` does."""
    process = Warm(*command, **options)  # type: ignore[arg-type]
    out, err = process.communicate()
    done = subprocess.CompletedProcess(process.args, process.wait(), out, err)
    if check:
        done.check_returncode()
    return done


def _run(
    command: list[str], outputs: tuple[Path, Path], cwd: str, environment: dict[str, str], largest: int | None
) -> None:
    assert "tests.warm_imports" in sys.modules
    # A background shell hands down SIGINT as ignored; a user's terminal does not.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    for number, path in enumerate(outputs, start=1):
        os.dup2(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND), number)
    os.chdir(cwd)
    os.environ.clear()
    os.environ.update(environment)
    if largest is not None:
        resource.setrlimit(resource.RLIMIT_FSIZE, (largest, largest))
    sys.argv = command
    sys.path[0] = str(Path(command[0]).parent)
    runpy.run_path(command[0], run_name="__main__")
