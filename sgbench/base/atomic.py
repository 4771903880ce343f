"""Writing files whole or not at all, and one sentence for a disk that refuses."""

import contextlib
import errno
import hashlib
import os
import re
import socket
import time
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import IO

from sgbench.base.errors import UserError

DISK_FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
# `.NAME.HOST.PROCESS.RANDOM.tmp`
TEMPORARY = re.compile(r"\..+\.([0-9a-f]{6})\.(\d+)\.[0-9a-f]{8}\.tmp")
HOST = hashlib.sha256(socket.gethostname().encode()).hexdigest()[:6]
# Writers never pause; the clock of another machine may differ a little.
DEAD_SECONDS, FOREIGN_SECONDS = 60.0, 86_400.0


class WriteError(OSError):
    """An OSError of a write, with the size of the file that was to be written, in bytes."""

    def __init__(self, error: OSError, path: Path, needed: int) -> None:
        super().__init__(error.errno, error.strerror or str(error), str(path))
        self.needed = needed


def write_atomic(path: Path, data: bytes) -> None:
    """Write `data` under a temporary name in the folder of `path`, flush it to disk, then rename.

    Raises WriteError where the file system refuses; `path` is then unchanged.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with writing(path) as stream:
            stream.write(data)
    except OSError as error:
        raise WriteError(error, path, len(data)) from error


@contextlib.contextmanager
def writing(path: Path) -> Iterator[IO[bytes]]:
    """A stream whose content is at `path` once the context ends without an error, and nowhere otherwise.

    Raises OSError as the file system reports it.
    """
    temporary = temporary_name(path)
    try:
        with temporary.open("wb") as stream:
            yield stream
            stream.flush()
            os.fsync(stream.fileno())
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)


def temporary_name(path: Path) -> Path:
    """A name in the folder of `path` for use while it is written; it tells other processes who the writer is."""
    return path.with_name(f".{path.name}.{HOST}.{os.getpid()}.{uuid.uuid4().hex[:8]}.tmp")


def refusal(error: OSError, what: str, *, where: Path, fix: str, needed: int | None = None) -> UserError:
    """The error for a disk that refused a write: `what` could not be done, why, and the bytes that it takes."""
    needed = error.needed if isinstance(error, WriteError) else needed
    reason = f"{what} ({error.strerror or error})"
    if error.errno in DISK_FULL and needed is not None:
        free = free_bytes(where)
        reason += f": {needed:,} bytes are needed" + ("" if free is None else f", {free:,} are free")
    return UserError(reason, where=str(where), fix=fix)


def free_bytes(path: Path) -> int | None:
    """Free bytes on the file system of `path`, which need not exist yet; None where they are not known."""
    for folder in (path, *path.absolute().parents):
        with contextlib.suppress(OSError):
            disk = os.statvfs(folder)
            return disk.f_bavail * disk.f_frsize
    return None


def is_left_over(path: Path) -> bool:
    """Whether a file is the temporary file of a writer that died; never that of one at work."""
    match = TEMPORARY.fullmatch(path.name)
    if match is None:
        return False
    try:
        age = time.time() - path.stat().st_mtime
    except OSError:
        return False
    host, process = match.groups()
    return age > FOREIGN_SECONDS or (host == HOST and age > DEAD_SECONDS and not _is_alive(int(process)))


def remove_leftovers(folder: Path) -> None:
    """Remove the temporary files of writers that died from a folder."""
    for path in folder.glob(".*.tmp"):
        if is_left_over(path):
            path.unlink(missing_ok=True)


def _is_alive(process: int) -> bool:
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    except (PermissionError, OverflowError):
        pass
    return True
