"""Files that are either absent or whole, and one sentence for a disk that refuses them."""

from __future__ import annotations

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

NO_ROOM = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
# `.NAME.HOST.PROCESS.RANDOM.tmp`
TEMPORARY = re.compile(r"\..+\.([0-9a-f]{6})\.(\d+)\.[0-9a-f]{8}\.tmp")
HOST = hashlib.sha256(socket.gethostname().encode()).hexdigest()[:6]
# A writer writes without a pause; another machine's clock may be off by a little.
DEAD_SECONDS, FOREIGN_SECONDS = 60.0, 86_400.0


class WriteError(OSError):
    """An OSError of a write, with the bytes of the file that it was to be."""

    def __init__(self, error: OSError, path: Path, needed: int) -> None:
        super().__init__(error.errno, error.strerror or str(error), str(path))
        self.needed = needed


def write_atomic(path: Path, data: bytes) -> None:
    """Write `data` under a temporary name beside `path`, flush it to disk, then rename.

    Raises WriteError for what the file system says; `path` then still holds what it held before.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with writing(path) as stream:
            stream.write(data)
    except OSError as error:
        raise WriteError(error, path, len(data)) from error


@contextlib.contextmanager
def writing(path: Path) -> Iterator[IO[bytes]]:
    """A stream whose content stands at `path` once the context ends well, and nowhere if it does not.

    Raises OSError as the file system gives it.
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
    """A name beside `path` for the time of its writing, from which a later process can tell whether that goes on."""
    return path.with_name(f".{path.name}.{HOST}.{os.getpid()}.{uuid.uuid4().hex[:8]}.tmp")


def refusal(error: OSError, what: str, *, where: Path, fix: str, needed: int | None = None) -> UserError:
    """What to say of a disk that refused a write: `what` could not be done, why, and the bytes that it takes."""
    needed = error.needed if isinstance(error, WriteError) else needed
    said = f"{what} ({error.strerror or error})"
    if error.errno in NO_ROOM and needed is not None:
        free = free_bytes(where)
        said += f": {needed:,} bytes are needed" + ("" if free is None else f", {free:,} are free")
    return UserError(said, where=str(where), fix=fix)


def free_bytes(path: Path) -> int | None:
    """What the file system under `path`, which need not be there yet, has left for us; None where it does not say."""
    for folder in (path, *path.absolute().parents):
        with contextlib.suppress(OSError):
            told = os.statvfs(folder)
            return told.f_bavail * told.f_frsize
    return None


def is_left_over(path: Path) -> bool:
    """Whether a file is what a writer that died left under its temporary name; never that of one at work."""
    named = TEMPORARY.fullmatch(path.name)
    if named is None:
        return False
    try:
        age = time.time() - path.stat().st_mtime
    except OSError:
        return False
    host, process = named.groups()
    return age > FOREIGN_SECONDS or (host == HOST and age > DEAD_SECONDS and not _is_alive(int(process)))


def remove_leftovers(folder: Path) -> None:
    """Remove what writers that died left in a folder under temporary names."""
    for path in folder.glob(".*.tmp"):
        if is_left_over(path):
            path.unlink(missing_ok=True)


def _is_alive(process: int) -> bool:
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    except (PermissionError, OverflowError):
        return True
    return True
