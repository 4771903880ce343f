"""Claims: which process works on what in one results tree, so that several share the work and none does it twice.

A claim is a lock of one byte of the file `.claims`; the byte's number is a hash of what is claimed. The kernel drops
the locks of a process that ends, however it ends, so no claim is ever stale; a fork does not inherit them. Claims save
work and nothing else: every file is written whole, with the same content whoever writes it. Where a file system has no
locks, processes may duplicate work; results are unaffected.

Closing any descriptor of a file drops all locks that the process has on it: no other code may open `.claims`.
"""

import contextlib
import errno
import fcntl
import hashlib
import os
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import TypeVar

from sgbench.base.signals import stop_if_asked

FILE = ".claims"
HELD = (errno.EACCES, errno.EAGAIN)
NO_LOCKS = (errno.ENOLCK, errno.ENOTSUP, errno.EOPNOTSUPP, errno.ENOSYS)
FIRST_PAUSE, LONGEST_PAUSE = 0.2, 3.0
Unit = TypeVar("Unit")


class _LockFile:
    """The only descriptor that this process has of a file, and the bytes of it that its threads hold."""

    def __init__(self, path: Path) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        self.descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o666)
        self.process = os.getpid()
        self.held: set[int] = set()
        self.guard = threading.Lock()
        self.locks = True
        self.noticed = False

    def is_at(self, path: Path) -> bool:
        """Whether this is the process that opened it, and `path` is still the same file."""
        try:
            there = path.stat()
        except OSError:
            return False
        return self.process == os.getpid() and os.path.samestat(there, os.fstat(self.descriptor))


_files: dict[Path, _LockFile] = {}
_opening = threading.Lock()


class Claims:
    """The claims on one suite's results in `folder`. Threads of one process exclude each other, too."""

    def __init__(self, folder: Path) -> None:
        path = (folder / FILE).absolute()
        with _opening:
            if path not in _files or not _files[path].is_at(path):
                _files[path] = _LockFile(path)
            self._file = _files[path]

    def notice(self) -> str:
        """What to say, once, where the file system turned out to have no locks; empty otherwise."""
        if self._file.locks or self._file.noticed:
            return ""
        self._file.noticed = True
        return (
            "the file system of the results has no locks: processes may duplicate work, and results are unaffected; "
            "run one process at a time to save the work"
        )

    @contextlib.contextmanager
    def held(self, unit: str) -> Iterator[bool]:
        """Hold the claim on `unit` within the context; False where another process or thread holds it."""
        # 62 bits: what the offsets of every file system take.
        byte = int.from_bytes(hashlib.blake2b(unit.encode(), digest_size=8).digest()) >> 2
        mine = self._take(byte)
        try:
            yield mine
        finally:
            if mine:
                self._drop(byte)

    @contextlib.contextmanager
    def awaited(self, unit: str) -> Iterator[None]:
        """The same, after waiting for as long as another holds it."""
        for pause in pauses():
            with self.held(unit) as mine:
                if mine:
                    yield
                    return
            time.sleep(pause)

    def _take(self, byte: int) -> bool:
        file = self._file
        with file.guard:
            if byte in file.held:
                return False
            try:
                fcntl.lockf(file.descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB, 1, byte)
            except OSError as error:
                if error.errno in HELD:
                    return False
                if error.errno not in NO_LOCKS:
                    raise
                file.locks = False
            file.held.add(byte)
            return True

    def _drop(self, byte: int) -> None:
        file = self._file
        with file.guard:
            file.held.discard(byte)
            if file.locks:
                fcntl.lockf(file.descriptor, fcntl.LOCK_UN, 1, byte)


def pauses() -> Iterator[float]:
    """Seconds to wait before looking again, growing to a few."""
    pause = FIRST_PAUSE
    while True:
        yield pause
        pause = min(1.5 * pause, LONGEST_PAUSE)


def work_through(
    units: Iterable[Unit],
    name: Callable[[Unit], str],
    work: Callable[[Unit], None],
    claims: Claims,
    say: Callable[[str], None],
) -> None:
    """Do `work` once on every unit, in order, while holding the claim on its name.

    Units that other processes hold are left for later and then waited for; `work` has to check whether they are done,
    and does those whose process died.
    """
    waiting, patience, said = list(units), pauses(), False
    while waiting:
        left = []
        for unit in waiting:
            stop_if_asked()
            with claims.held(name(unit)) as mine:
                if mine:
                    work(unit)
                else:
                    left.append(unit)
            notice = claims.notice()
            if notice:
                say(notice)
        if len(left) < len(waiting):
            patience = pauses()
        elif not said:
            say(waiting_for(len(left)))
            said = True
        if left:
            time.sleep(next(patience))
        waiting = left


def waiting_for(units: int) -> str:
    """The message, given once, when other processes work on all that is left."""
    return f"waiting for another process that works in this tree ({units} parts are with it)"
