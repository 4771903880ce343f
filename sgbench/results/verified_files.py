"""Files that carry digests, so that a flipped bit is seen, and one verifying read for each kind of them. No torch.

A record is JSON with the digest of its own content under its last key; white space does not count. Records of versions
that kept no digest are read as they are. A payload has notes beside it, a record with the payload's digest. A picture
has the checksums of PNG. A table has its digest in a file that `sha256sum --check` reads; while the table is replaced
that file holds two, of the new content and of the old.

`Store` uses what is sound and reports the problem of what is not; `sgbench doctor` lists the same problems.
"""

from __future__ import annotations

import hashlib
import io
import json
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, Generic, NamedTuple, TypeVar

from sgbench.base.atomic import refusal, write_atomic
from sgbench.base.errors import UserError

# numpy is imported where it is used: `plan` reads records and must start at once.
if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

KEY = "record_sha256"
MOST_NOTICES = 10
# The last chunk of every PNG: its length, type and checksum.
PNG_END = b"\0\0\0\0IEND\xaeB`\x82"
# What notes must hold for their payload to be used.
SHARD_NOTES: dict[str, type] = {"sha256": str, "images": int}
FEATURE_NOTES: dict[str, type] = {"sha256": str, "shard_sha256": str}
Content = TypeVar("Content")


class Verified(NamedTuple, Generic[Content]):
    """What a file holds, or why it cannot be used."""

    content: Content | None = None
    problem: str = ""
    """Empty for a sound file, and for one that is not there."""


class Shard(NamedTuple):
    """Images uint8 (n, H, W, C) from index `number` * SHARD on, and the notes on them."""

    images: NDArray[np.uint8]
    notes: dict[str, Any]


class Features(NamedTuple):
    """An extractor's output for all images of a shard, and the digest of that shard."""

    arrays: dict[str, NDArray[Any]]
    shard_sha256: str


def sha256(payload: bytes) -> str:
    """Digest of a payload, as notes hold it."""
    return hashlib.sha256(payload).hexdigest()


def with_digest(content: dict[str, Any]) -> dict[str, Any]:
    """Plain data with the digest of its content as the last key."""
    return {**content, KEY: _content_sha256(content)}


def record_bytes(content: dict[str, Any]) -> bytes:
    """A record as it is written: JSON with its digest."""
    return (json.dumps(with_digest(content), indent=1) + "\n").encode()


def verify_record(content: object) -> Verified[dict[str, Any]]:
    """Parsed data as a record without its digest."""
    if not isinstance(content, dict):
        return Verified(None, "it is not a record")
    recorded = content.pop(KEY, None)
    if recorded not in (None, _content_sha256(content)):
        return Verified(None, "its content does not match its digest")
    return Verified(content)


def read_record(path: Path) -> Verified[dict[str, Any]]:
    """The content of a record."""
    try:
        return verify_record(json.loads(path.read_bytes()))
    except (FileNotFoundError, NotADirectoryError):
        return Verified()
    except OSError as error:
        return Verified(None, f"it cannot be read ({error.strerror})")
    except (ValueError, RecursionError):
        return Verified(None, "it is not JSON")


def read_notes(path: Path, kinds: dict[str, type]) -> Verified[dict[str, Any]]:
    """The notes of the payload at `path`, which must have the keys of `kinds`, each with a value of that type."""
    record = read_record(path.with_suffix(".json"))
    if record.content is None:
        return Verified(None, f"its notes are damaged: {record.problem}" if record.problem else "")
    unusable = [key for key, kind in kinds.items() if type(record.content.get(key)) is not kind]
    return Verified(None, f"its notes have no usable {unusable[0]}") if unusable else record


def read_payload(
    path: Path, kinds: dict[str, type], decode: Callable[[bytes, dict[str, Any]], Content]
) -> Verified[Content]:
    """What `decode` makes of a payload and its notes, which hold its `sha256` and the keys of `kinds`.

    `decode` raises ValueError for a payload that does not match its notes.
    """
    notes = read_notes(path, kinds)
    if notes.content is None:
        return Verified(None, notes.problem or ("its notes are missing" if path.is_file() else ""))
    if not path.is_file():
        return Verified(None, "it is missing, and its notes are there")
    payload = path.read_bytes()
    if sha256(payload) != notes.content["sha256"]:
        return Verified(None, "its sha256 is not the one in its notes")
    try:
        return Verified(decode(payload, notes.content))
    except (ValueError, TypeError, EOFError, OSError, zipfile.BadZipFile) as error:
        return Verified(None, f"it cannot be used: {error}")


def read_shard(path: Path) -> Verified[Shard]:
    """The shard in a file, or what is wrong with it."""
    return read_payload(path, SHARD_NOTES, _shard)


def _shard(payload: bytes, notes: dict[str, Any]) -> Shard:
    import numpy as np

    images = np.lib.format.read_array(io.BytesIO(payload), allow_pickle=False)
    if images.dtype != np.uint8 or images.ndim != 4 or len(images) != notes["images"]:
        raise ValueError(f"it is {images.dtype} of shape {images.shape}, and its notes are of {notes['images']} images")
    return Shard(images, notes)


def read_features(path: Path) -> Verified[Features]:
    """The features in a file, or what is wrong with them."""
    return read_payload(path, FEATURE_NOTES, _features)


def _features(payload: bytes, notes: dict[str, Any]) -> Features:
    import numpy as np

    with np.load(io.BytesIO(payload), allow_pickle=False) as stored:
        arrays = dict(stored)
    if len({len(array) for array in arrays.values()}) != 1:
        raise ValueError("its arrays are of different numbers of images")
    return Features(arrays, notes["shard_sha256"])


def read_picture(path: Path) -> Verified[bytes]:
    """The bytes of a PNG, whose chunks carry checksums; pixels are not decoded."""
    from PIL.PngImagePlugin import PngImageFile

    if not path.is_file():
        return Verified()
    png = path.read_bytes()
    try:
        # `Image.open` would refuse large pictures, of which nothing is decoded here.
        with PngImageFile(io.BytesIO(png)) as image:
            image.verify()
    except Exception:  # A damaged file can end the decoder in any way.
        return Verified(None, "its checksums do not agree")
    return Verified(png) if png.endswith(PNG_END) else Verified(None, "its end is missing or damaged")


def digest_path(table: Path) -> Path:
    """Where the digest of a table is."""
    return table.with_name(f"{table.name}.sha256")


def read_digests(table: Path) -> list[str]:
    """The digests recorded for a table; none where the file is absent or cannot be read."""
    try:
        lines = digest_path(table).read_text(encoding="ascii").splitlines()
    except (OSError, ValueError):
        return []
    return [line.partition(" ")[0] for line in lines]


def table_problem(table: Path) -> str:
    """Why a table is not as it was written; empty for a sound one, and for one without a digest."""
    if not digest_path(table).is_file():
        return ""
    try:
        found = sha256(table.read_bytes())
    except OSError:
        return ""  # Whoever reads it next says why it cannot be read.
    if found in read_digests(table):
        return ""
    return f"the table was changed or damaged since it was written: its sha256 is not the one in {table.name}.sha256"


class VerifiedFiles:
    """Reads and writes below `folder`; `notice` receives a line for each damaged file that is met."""

    def __init__(self, folder: Path, notice: Callable[[str], None] | None) -> None:
        self.folder = folder
        self._notice = notice
        self._damaged: set[Path] = set()

    def _write(self, path: Path, payload: bytes) -> None:
        """Write a file whole. Raises UserError where the file system refuses; nothing that was there is lost."""
        # A link in place of a folder must not lead what is written out of the tree, which itself may be a link.
        if not path.parent.resolve().is_relative_to(self.folder.resolve()):
            what = "a link leads out of the results tree, and nothing is written beyond it"
            fix = "remove the link; to keep the whole tree elsewhere, name that folder with --results"
            raise UserError(what, where=str(path.parent), fix=fix)
        try:
            write_atomic(path, payload)
        except OSError as error:
            fix = "free disk space or fix the permissions, then repeat the command: all finished work is kept"
            raise refusal(error, "the file could not be written", where=path, fix=fix) from error

    def _write_payload(self, path: Path, payload: bytes, notes: dict[str, Any]) -> None:
        """Write a payload, then its notes with its digest."""
        self._write(path, payload)
        self._write(path.with_suffix(".json"), record_bytes({"sha256": sha256(payload), **notes}))

    def _write_table(self, path: Path, payload: bytes) -> None:
        """Write a table and its digest; in between both the old and the new content match."""
        line = f"{sha256(payload)}  {path.name}\n"
        before = "".join(f"{digest}  {path.name}\n" for digest in read_digests(path)[:1])
        self._write(digest_path(path), (line + before).encode())
        self._write(path, payload)
        self._write(digest_path(path), line.encode())

    def _read(self, path: Path) -> dict[str, Any] | None:
        return self._sound(path, read_record(path))

    def _sound(self, path: Path, found: Verified[Content]) -> Content | None:
        """What was verified; None, and a notice of the problem if there is one, otherwise."""
        if found.problem:
            self._report(path, found.problem)
        return found.content

    def _report(self, path: Path, problem: str) -> None:
        """Give notice of a damaged file: once per file, and of the first few files."""
        if self._notice is None or path in self._damaged:
            return
        self._damaged.add(path)
        if len(self._damaged) <= MOST_NOTICES:
            self._notice(f"damaged and not used: {path} ({problem})")
        elif len(self._damaged) == MOST_NOTICES + 1:
            self._notice("more files are damaged: `sgbench doctor` lists them all")


def _content_sha256(content: dict[str, Any]) -> str:
    """The digest of plain data, whatever the order of its keys."""
    return sha256(json.dumps(content, sort_keys=True, separators=(",", ":")).encode())
