"""sha256 of large files, kept in a small file beside them so that it is computed once. No torch."""

from __future__ import annotations

import hashlib
import json
import os
from pathlib import Path
from types import TracebackType
from typing import Any

from sgbench.base.atomic import write_atomic
from sgbench.base.errors import UserError
from sgbench.base.progress import Progress, Silent

BLOCK_BYTES = 1 << 22
MEGABYTE = 1_000_000
SIDECAR_KEYS = {"sha256", "bytes", "source", "mtime_ns"}


class Megabytes:
    """A stage of a Progress that counts bytes but tells whole megabytes."""

    def __init__(self, progress: Progress, stage: str, total: int) -> None:
        self.progress, self.stage, self.total = progress, stage, total
        self.done = 0

    def __enter__(self) -> Megabytes:
        self.progress.begin(self.stage, -(-self.total // MEGABYTE), "megabyte")
        return self

    def add(self, count: int, doing: str) -> None:
        """`count` more bytes are done; the last started megabyte is told when the last byte is."""
        before = self._told()
        self.done += count
        if self._told() > before:
            self.progress.advance(self._told() - before, doing)

    def _told(self) -> int:
        return -(-self.done // MEGABYTE) if self.done >= self.total else self.done // MEGABYTE

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.progress.end()


def unreadable(path: Path, error: OSError) -> UserError:
    """What to say of a file that the system does not let us read."""
    return UserError(
        f"the file cannot be read ({error.strerror or error})",
        where=str(path),
        fix="check the path and its permissions",
    )


def sha256_file(path: Path, progress: Progress | None = None) -> str:
    """The digest of a file's content, in hexadecimal. Raises UserError when it cannot be read."""
    digest = hashlib.sha256()
    try:
        with path.open("rb") as stream:
            size = os.fstat(stream.fileno()).st_size
            with Megabytes(progress or Silent(), "sha256", size) as meter:
                while block := stream.read(BLOCK_BYTES):
                    digest.update(block)
                    meter.add(len(block), path.name)
    except OSError as error:
        raise unreadable(path, error) from error
    return digest.hexdigest()


def sidecar_path(path: Path) -> Path:
    """Where the digest of `path` is kept."""
    return path.with_name(f"{path.name}.json")


def read_sidecar(path: Path) -> dict[str, Any] | None:
    """What is recorded of `path`, true or outdated; None when nothing of ours is."""
    try:
        content = json.loads(sidecar_path(path).read_bytes())
    except (OSError, ValueError, RecursionError):
        return None
    return content if isinstance(content, dict) and set(content) == SIDECAR_KEYS else None


def recorded_sha256(path: Path) -> str | None:
    """The recorded digest, if size and modification time are still those of the file it was taken of."""
    record = read_sidecar(path)
    if record is None:
        return None
    try:
        now = path.stat()
    except OSError:
        return None
    if (record["bytes"], record["mtime_ns"]) != (now.st_size, now.st_mtime_ns):
        return None
    return str(record["sha256"])


def record_sha256(path: Path, sha256: str, source: str, seen: os.stat_result) -> None:
    """Keep the digest of `path`, which looked like `seen` before it was read.

    Does nothing in a folder that is not writable, nor where another program's file has the sidecar's name.
    """
    record = {"sha256": sha256, "bytes": seen.st_size, "source": source, "mtime_ns": seen.st_mtime_ns}
    sidecar = sidecar_path(path)
    try:
        if read_sidecar(path) is not None or not sidecar.exists():
            write_atomic(sidecar, (json.dumps(record, indent=2) + "\n").encode())
    except OSError:
        return


def sha256_of(path: Path, progress: Progress | None = None) -> str:
    """The recorded digest, or a fresh one that is recorded for the next time."""
    recorded = recorded_sha256(path)
    if recorded is not None:
        return recorded
    try:
        # Looked at before reading: a change during the reading leaves a record that does not agree.
        seen = path.stat()
    except OSError as error:
        raise unreadable(path, error) from error
    digest = sha256_file(path, progress)
    outdated = read_sidecar(path)
    # A copied file has a new modification time, but it still comes from where it came from.
    copied = outdated is not None and outdated["sha256"] == digest
    record_sha256(path, digest, outdated["source"] if outdated and copied else path.name, seen)
    return digest


def require_recorded(path: Path) -> None:
    """Read a file that is about to be loaded and compare it with its digest, recorded or fresh.

    A record is trusted for names and plans as long as size and time of the file are its own; a flipped bit changes
    neither. Raises UserError for a file that is not the one whose digest was taken.
    """
    recorded = recorded_sha256(path)
    if recorded is None:
        return
    found = sha256_file(path)
    if found != recorded:
        raise UserError(
            f"the file was damaged since its digest was taken (sha256 {found[:12]}, recorded {recorded[:12]})",
            where=str(path),
            fix=f"fetch or copy it again; where it is meant to be another file, delete {sidecar_path(path).name}",
        )
