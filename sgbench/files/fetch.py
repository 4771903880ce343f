"""Fetch a file of weights from a path, an address or the Hugging Face hub: resumed and verified. No torch."""

from __future__ import annotations

import http.client
import importlib
import json
import os
import re
from collections.abc import Callable
from http.client import HTTPMessage
from pathlib import Path, PurePosixPath
from typing import Any
from urllib.error import HTTPError, URLError
from urllib.parse import unquote, urlsplit
from urllib.request import Request, urlopen

from sgbench.base.atomic import refusal, write_atomic
from sgbench.base.errors import UserError, plain
from sgbench.base.progress import Progress
from sgbench.files.digest import megabytes, read_sidecar, record_sha256, sha256_file, sha256_of

BLOCK_BYTES = 1 << 16
TIMEOUT_SECONDS = 60
HUB_NAME = re.compile(r"[\w-][\w.-]*/[\w-][\w.-]*/[^/].*")
RESUMES = "check the network; the same command resumes where it stopped"
DELETED = "the download was deleted; correct the digest or the source"


def fetch(source: str, folder: Path, sha256: str | None, progress: Progress) -> Path:
    """The path of the file that `source` names, in `folder` unless it is a local file; verified against `sha256`.

    `source` is a local path, an http(s) address or `owner/name/path/in/repo` on the Hugging Face hub. A file that is
    already there is returned without a network request. Raises UserError for everything that goes wrong.
    """
    expected = sha256.lower() if sha256 else None
    if "://" in source:
        return _from_address(source, folder, expected, progress)
    local = Path(source).expanduser()
    if local.exists():
        if expected is not None:
            _compare(sha256_of(local, progress), expected, source, "give the right file or correct the digest")
        return local
    if HUB_NAME.fullmatch(source) and ".." not in source.split("/"):
        return _from_hub(source, folder, expected, progress)
    fix = "give a path, an http(s) address or owner/name/path/in/repo on the Hugging Face hub"
    raise UserError("there is no such file", where=source, fix=fix)


def _compare(found: str, expected: str | None, where: str, fix: str, delete: Callable[[], None] | None = None) -> None:
    if expected not in (None, found):
        if delete is not None:
            delete()
        raise UserError(f"the file has sha256 {found}, expected {expected}", where=where, fix=fix)


def _is_there(path: Path, source: str, expected: str | None, progress: Progress) -> bool:
    """Whether `path` holds what `source` names. Raises UserError when it holds something else."""
    if not path.exists():
        return False
    record = read_sidecar(path)
    if expected is None:
        if record is None or record["source"] != source:
            what = f"another file already has this name (from {record['source'] if record else 'an unknown source'})"
            fix = f"move it away, or give the sha256 of {source} if it is the same file"
            raise UserError(what, where=str(path), fix=fix)
        expected = record["sha256"]
    fix = "delete it to download it again, or correct the digest"
    _compare(sha256_of(path, progress), expected, str(path), fix)
    return True


def _from_address(source: str, folder: Path, expected: str | None, progress: Progress) -> Path:
    try:
        address = urlsplit(source)
    except ValueError as error:
        raise UserError(f"this is not a valid address ({error})", where=source, fix="correct it") from error
    if address.scheme not in ("http", "https"):
        what = f"the scheme {address.scheme}:// is not supported"
        raise UserError(what, where=source, fix="use https://, http:// or a path")
    name = PurePosixPath(unquote(address.path)).name
    if name in ("", ".", ".."):
        raise UserError("the address does not name a file", where=source, fix="give the address of the file itself")
    path = folder / name
    if _is_there(path, source, expected, progress):
        return path
    part = PartialDownload(path, source)
    try:
        folder.mkdir(parents=True, exist_ok=True)
        if not part.whole:
            _download(part, progress)
        found = sha256_file(part.path, progress)
        _compare(found, expected, source, DELETED, part.drop)
        part.finish(found)
    except OSError as error:
        fix = "check the folder's permissions and the space left, then run the same command again"
        raise refusal(error, "the file cannot be written", where=path, fix=fix, needed=part.total) from error
    if expected is None:
        progress.say(f"{name}: sha256 {found}, not compared with a known one")
    return path


def _download(part: PartialDownload, progress: Progress) -> None:
    """Request what is missing and append it. Raises UserError for the network, OSError for the disk."""
    headers = {"User-Agent": "sgbench"}
    if part.have:
        headers["Range"] = f"bytes={part.have}-"
        if part.validator is not None:
            headers["If-Range"] = part.validator
    with _open(part, Request(part.source, headers=headers)) as response:
        if response.headers.get_content_type() == "text/html":
            fix = "give the address of the file itself (of a Dropbox link, the one with dl=1)"
            raise UserError("the server answered with a web page instead of a file", where=part.source, fix=fix)
        if part.have == 0 or response.status != http.HTTPStatus.PARTIAL_CONTENT:
            part.start(response.headers)
        elif not part.is_continued_by(response.headers["Content-Range"] or ""):
            part.drop()
            what = "the server sent a different part of the file than requested"
            raise UserError(what, where=part.source, fix="run the same command again: it starts over")
        with megabytes(progress, "fetch", part.total or 0) as add, part.path.open("ab") as stream:
            add(part.have, f"{part.final.name} (kept)")
            while block := _next_block(response, part):
                stream.write(block)
                part.have += len(block)
                add(len(block), part.final.name)
    if part.total is not None and part.path.stat().st_size != part.total:
        raise UserError(f"the connection broke after {part.have} of {part.total} bytes", where=part.source, fix=RESUMES)


def _open(part: PartialDownload, request: Request) -> Any:
    try:
        return urlopen(request, timeout=TIMEOUT_SECONDS)
    except HTTPError as error:
        error.close()
        if error.code == http.HTTPStatus.REQUESTED_RANGE_NOT_SATISFIABLE:
            part.drop()
        fix = "check the address, and whether it requires a login; then run the same command again"
        raise UserError(f"the server answered {error.code} {error.reason}", where=part.source, fix=fix) from error
    except (OSError, http.client.HTTPException, ValueError) as error:
        reason = error.reason if isinstance(error, URLError) else error
        raise UserError(f"the server cannot be reached ({reason})", where=part.source, fix=RESUMES) from error


def _next_block(response: Any, part: PartialDownload) -> bytes:
    try:
        return bytes(response.read(BLOCK_BYTES))
    except (OSError, http.client.HTTPException) as error:
        what = f"the connection broke after {part.have} bytes ({error})"
        raise UserError(what, where=part.source, fix=RESUMES) from error


def _from_hub(source: str, folder: Path, expected: str | None, progress: Progress) -> Path:
    owner, name, inside = source.split("/", 2)
    path = folder / inside
    if _is_there(path, source, expected, progress):
        return path
    try:
        hub = importlib.import_module("huggingface_hub")
    except ImportError as error:
        what = "there is no such file, and the Hugging Face hub needs the package huggingface_hub"
        raise UserError(what, where=source, fix="pip install 'sgbench[hf]', or give the path of a file") from error
    progress.say(f"{source}: from the Hugging Face hub")
    try:
        hub.hf_hub_download(repo_id=f"{owner}/{name}", filename=inside, local_dir=str(folder))
        seen = path.stat()
    except Exception as error:  # Its errors share no base class.
        fix = "check the name, and log in with `hf auth login` if the repository asks for it"
        raise UserError(f"the hub did not provide the file ({plain(error)})", where=source, fix=fix) from error
    found = sha256_file(path, progress)
    _compare(found, expected, source, DELETED, path.unlink)
    record_sha256(path, found, source, seen)
    return path


class PartialDownload:
    """NAME.part, and NAME.part.json with what is needed to resume it: address, validator, total bytes."""

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
            return  # Nothing to resume: the first response starts the file over.

    @property
    def whole(self) -> bool:
        """Whether all bytes are here, as after an interrupted verification."""
        return self.total is not None and self.have == self.total

    def start(self, headers: HTTPMessage) -> None:
        """Start from the first byte of the file that these headers describe."""
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
        """Delete the partial file and its record."""
        self.path.unlink(missing_ok=True)
        self.record.unlink(missing_ok=True)

    def finish(self, sha256: str) -> None:
        """Give it its final name and record its digest."""
        with self.path.open("rb+") as stream:
            os.fsync(stream.fileno())
        self.path.replace(self.final)
        record_sha256(self.final, sha256, self.source, self.final.stat())
        self.record.unlink(missing_ok=True)
