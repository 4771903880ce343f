"""JSON records that carry the digest of their own content, so that a flipped bit in a number is seen. No torch.

The digest stands last, under its own key, and is taken of the content, not of the bytes: a record that was indented
otherwise is the same record. Records of versions that kept no digest are read as they are.
"""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any, NamedTuple

KEY = "record_sha256"


class Record(NamedTuple):
    """What a file holds: its content without the digest, or why there is none that could be used."""

    content: dict[str, Any] | None
    problem: str = ""
    """Empty for a sound record, and for a file that is not there."""
    sealed: bool = False
    """Whether the content came with a digest."""


def content_sha256(content: dict[str, Any]) -> str:
    """The digest of plain data, whatever the order of its keys."""
    return hashlib.sha256(json.dumps(content, sort_keys=True, separators=(",", ":")).encode()).hexdigest()


def with_digest(content: dict[str, Any]) -> dict[str, Any]:
    """Plain data with its digest as the last key."""
    return {**content, KEY: content_sha256(content)}


def seal(content: dict[str, Any]) -> bytes:
    """A record as it is written: JSON with its digest."""
    return (json.dumps(with_digest(content), indent=1) + "\n").encode()


def read_record(path: Path) -> Record:
    """A record, verified. A damaged one has no content."""
    try:
        payload = path.read_bytes()
    except (FileNotFoundError, NotADirectoryError):
        return Record(None)
    except OSError as error:
        return Record(None, f"it cannot be read ({error.strerror})")
    try:
        content = json.loads(payload)
    except (ValueError, RecursionError):
        return Record(None, "it is no JSON")
    return verified(content)


def verified(content: object) -> Record:
    """Parsed data as a record."""
    if not isinstance(content, dict):
        return Record(None, "it is no record")
    noted = content.pop(KEY, None)
    if noted is not None and noted != content_sha256(content):
        return Record(None, "its content has another digest")
    return Record(content, sealed=noted is not None)
