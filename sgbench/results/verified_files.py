"""Files below one folder that are whole or absent, and used only if their digests agree. Knows nothing of torch."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

from sgbench.base.atomic import refusal, write_atomic
from sgbench.base.errors import UserError
from sgbench.base.png import is_whole
from sgbench.results.checksummed_json import read_record

MOST_NOTICES = 10


class VerifiedFiles:
    """Reads and writes below `folder`; `notice` is told of damaged files as they are met."""

    def __init__(self, folder: Path, notice: Callable[[str], None] | None) -> None:
        self.folder = folder
        self._notice = notice
        self._damaged: set[Path] = set()

    def _write(self, path: Path, payload: bytes) -> None:
        """Write a file whole. Raises UserError where the file system refuses; nothing that was there is lost."""
        # A link in place of a folder must not lead what is written out of the tree, which itself may be a link.
        if not path.parent.resolve().is_relative_to(self.folder.resolve()):
            raise UserError(
                "a link leads out of the results tree, and nothing is written beyond it",
                where=str(path.parent),
                fix="remove the link; the whole tree may lie elsewhere: name it with --results",
            )
        try:
            write_atomic(path, payload)
        except OSError as error:
            fix = "make room or mend the permissions, then repeat the command: all that was finished is kept"
            raise refusal(error, "the file could not be written", where=path, fix=fix) from error

    def _read(self, path: Path) -> dict[str, Any] | None:
        """The content of a record; None, and a notice, where it is damaged."""
        record = read_record(path)
        if record.problem:
            self._tell(path, record.problem)
        return record.content

    def _read_notes(self, path: Path, kinds: dict[str, type]) -> dict[str, Any] | None:
        """The notes beside a payload at `path`, if they hold what they must."""
        beside = path.with_suffix(".json")
        notes = self._read(beside)
        if notes is None or all(type(notes.get(key)) is kind for key, kind in kinds.items()):
            return notes
        self._tell(beside, "something is missing from it")
        return None

    def _read_verified(self, path: Path, notes: dict[str, Any] | None) -> bytes | None:
        """A payload that has the digest noted beside it; None, and a notice where there is something, otherwise."""
        there = path.is_file()
        if notes is None:
            if there:
                self._tell(path, "there are no notes beside it")
            return None
        if not there:
            self._tell(path, "there are notes beside it, and it is missing")
            return None
        payload = path.read_bytes()
        if sha256(payload) == notes["sha256"]:
            return payload
        self._tell(path, "its digest is another than the one beside it")
        return None

    def _tell(self, path: Path, problem: str) -> None:
        """Give notice of a damaged file, once each, and of so many."""
        if self._notice is None or path in self._damaged:
            return
        self._damaged.add(path)
        if len(self._damaged) <= MOST_NOTICES:
            self._notice(f"damaged and not used: {path} ({problem})")
        elif len(self._damaged) == MOST_NOTICES + 1:
            self._notice("more files are damaged: `sgbench doctor` names them all")

    def _read_picture(self, path: Path) -> bytes | None:
        png = path.read_bytes() if path.is_file() else None
        if png is not None and not is_whole(png):
            self._tell(path, "its checksums do not agree")
            return None
        return png


def sha256(payload: bytes) -> str:
    """Digest of a payload, as notes hold it."""
    return hashlib.sha256(payload).hexdigest()
