"""A download that is under way, and what has to be known to go on with it another time."""

from __future__ import annotations

import json
import os
from http.client import HTTPMessage
from pathlib import Path

from sgbench.base.atomic import write_atomic
from sgbench.files.digest import record_sha256


class Part:
    """NAME.part, and in NAME.part.json what it is a part of: address, validator, bytes in all."""

    def __init__(self, path: Path, source: str) -> None:
        self.final, self.source = path, source
        self.path = path.with_name(f"{path.name}.part")
        self.record = path.with_name(f"{path.name}.part.json")
        self.validator: str | None = None
        self.total: int | None = None
        self.have = 0
        try:
            known = json.loads(self.record.read_bytes())
            if known["source"] == source:
                self.validator, self.total = known["validator"], known["bytes"]
                self.have = self.path.stat().st_size
        except (OSError, ValueError, KeyError, TypeError):
            # Nothing to go on with: the first answer starts the file over.
            return

    @property
    def whole(self) -> bool:
        """Whether all bytes are here, of a download that was stopped while it was verified."""
        return self.total is not None and self.have == self.total

    def start(self, headers: HTTPMessage) -> None:
        """From the first byte, of a file that the server describes so."""
        etag = headers["ETag"]
        # A weak tag may stay the same while bytes change.
        self.validator = etag if etag and not etag.startswith("W/") else headers["Last-Modified"]
        length = headers["Content-Length"]
        self.total = int(length) if length and length.isdigit() else None
        self.have = 0
        self.path.write_bytes(b"")
        known = {"source": self.source, "validator": self.validator, "bytes": self.total}
        write_atomic(self.record, json.dumps(known).encode())

    def is_continued_by(self, content_range: str) -> bool:
        """Whether the server sends exactly what is missing, of a file of the same size."""
        first, _, total = content_range.removeprefix("bytes ").partition("/")
        return first.startswith(f"{self.have}-") and (self.total is None or total in (str(self.total), "*"))

    def drop(self) -> None:
        """Forget the download."""
        self.path.unlink(missing_ok=True)
        self.record.unlink(missing_ok=True)

    def finish(self, sha256: str) -> None:
        """Give it its final name and record its digest."""
        with self.path.open("rb+") as stream:
            os.fsync(stream.fileno())
        self.path.replace(self.final)
        record_sha256(self.final, sha256, self.source, self.final.stat())
        self.record.unlink(missing_ok=True)
