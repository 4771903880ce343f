"""sha256 of large files, recorded in a small file beside each so that it is computed once. No torch."""

import contextlib
import hashlib
import json
import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from sgbench.base.atomic import write_atomic
from sgbench.base.errors import UserError
from sgbench.base.progress import Progress, Silent

BLOCK_BYTES = 1 << 22
MEGABYTE = 1_000_000
SIDECAR_KEYS = {"sha256", "bytes", "source", "mtime_ns"}


@contextlib.contextmanager
def megabytes(progress: Progress, stage: str, total: int) -> Iterator[Callable[[int, str], None]]:
    """A stage of `progress` of `total` bytes: takes counts of bytes that are done, and reports whole megabytes."""
    done = shown = 0

    def add(count: int, doing: str) -> None:
        nonlocal done, shown
        done += count
        # The last started megabyte is done when the last byte is.
        whole = -(-done // MEGABYTE) if done >= total else done // MEGABYTE
        if whole > shown:
            progress.advance(whole - shown, doing)
            shown = whole

    progress.begin(stage, -(-total // MEGABYTE), "megabyte")
    try:
        yield add
    finally:
        progress.end()


def unreadable(path: Path, error: OSError) -> UserError:
    """The error for a file that the system does not let us read."""
    what = f"the file cannot be read ({error.strerror or error})"
    return UserError(what, where=str(path), fix="check the path and its permissions")


def sha256_file(path: Path, progress: Progress | None = None) -> str:
    """The digest of a file's content, in hexadecimal. Raises UserError when it cannot be read."""
    digest = hashlib.sha256()
    try:
        with path.open("rb") as stream:
            size = os.fstat(stream.fileno()).st_size
            with megabytes(progress or Silent(), "sha256", size) as add:
                while block := stream.read(BLOCK_BYTES):
                    digest.update(block)
                    add(len(block), path.name)
    except OSError as error:
        raise unreadable(path, error) from error
    return digest.hexdigest()


def sidecar_path(path: Path) -> Path:
    """Where the digest of `path` is recorded."""
    return path.with_name(f"{path.name}.json")


def read_sidecar(path: Path) -> dict[str, Any] | None:
    """The record of `path`, current or outdated; None when there is none that sgbench wrote."""
    try:
        content = json.loads(sidecar_path(path).read_bytes())
    except (OSError, ValueError, RecursionError):
        return None
    return content if isinstance(content, dict) and set(content) == SIDECAR_KEYS else None


def recorded_sha256(path: Path) -> str | None:
    """The recorded digest, if the file still has the size and modification time that it was taken at."""
    record = read_sidecar(path)
    with contextlib.suppress(OSError):
        now = path.stat()
        if record and (record["bytes"], record["mtime_ns"]) == (now.st_size, now.st_mtime_ns):
            return str(record["sha256"])
    return None


def record_sha256(path: Path, sha256: str, source: str, seen: os.stat_result) -> None:
    """Record the digest of `path`, which had the status `seen` before it was read.

    Does nothing in a folder that is not writable, nor where another program's file has the record's name.
    """
    record = {"sha256": sha256, "bytes": seen.st_size, "source": source, "mtime_ns": seen.st_mtime_ns}
    sidecar = sidecar_path(path)
    with contextlib.suppress(OSError):
        if read_sidecar(path) is not None or not sidecar.exists():
            write_atomic(sidecar, (json.dumps(record, indent=2) + "\n").encode())


def sha256_of(path: Path, progress: Progress | None = None) -> str:
    """The recorded digest, or a fresh one that is recorded for the next time."""
    recorded = recorded_sha256(path)
    if recorded is not None:
        return recorded
    try:
        # Taken before reading: a change while reading leaves a record that does not match.
        seen = path.stat()
    except OSError as error:
        raise unreadable(path, error) from error
    digest = sha256_file(path, progress)
    outdated = read_sidecar(path)
    # A copied file has a new modification time and the same source.
    copied = outdated is not None and outdated["sha256"] == digest
    record_sha256(path, digest, outdated["source"] if outdated and copied else path.name, seen)
    return digest


def require_recorded(path: Path) -> None:
    """Read a file that is about to be loaded and compare it with its recorded digest, if there is one.

    Elsewhere a record is trusted while size and time of the file match it, and a flipped bit changes neither. Raises
    UserError for a file that does not match.
    """
    recorded = recorded_sha256(path)
    if recorded is None:
        return
    found = sha256_file(path)
    if found != recorded:
        what = f"the file was damaged since its digest was taken (sha256 {found[:12]}, recorded {recorded[:12]})"
        fix = f"fetch or copy it again; where it is meant to be another file, delete {sidecar_path(path).name}"
        raise UserError(what, where=str(path), fix=fix)
