"""Digests kept beside files, and downloads from a server on this machine."""

from __future__ import annotations

import hashlib
import json
import os
import re
import socket
import struct
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from sgbench.base.errors import UserError
from sgbench.base.progress import Silent
from sgbench.files.digest import recorded_sha256, sha256_file, sha256_of, sidecar_path
from sgbench.files.fetch import fetch

CONTENT = os.urandom(3_300_000)
DIGEST = hashlib.sha256(CONTENT).hexdigest()
CUT = 2_000_000


class Told:
    """Progress that remembers what it was told."""

    def __init__(self) -> None:
        self.stages: list[tuple[str, int, str]] = []
        self.amounts: list[tuple[int, str]] = []
        self.lines: list[str] = []
        self.open = 0

    def begin(self, stage: str, total: int, unit: str) -> None:
        self.stages.append((stage, total, unit))
        self.open += 1

    def advance(self, amount: int, doing: str) -> None:
        self.amounts.append((amount, doing))

    def say(self, line: str) -> None:
        self.lines.append(line)

    def end(self) -> None:
        self.open -= 1


class Server(ThreadingHTTPServer):
    """Serves one file under any path; how well is for the test to say."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.content = CONTENT
        self.headers: dict[str, str] = {"ETag": '"one"'}
        self.cut: int | None = None
        self.resets = False
        self.ranges = True
        self.sized = True
        self.status = 200
        self.shift = 0
        self.requests: list[dict[str, str]] = []

    def address(self, path: str = "w.safetensors") -> str:
        return f"http://127.0.0.1:{self.server_port}/{path}"


class Handler(BaseHTTPRequestHandler):
    server: Server

    def log_message(self, format: str, *args: Any) -> None: ...

    def do_GET(self) -> None:
        server = self.server
        server.requests.append(dict(self.headers))
        if server.status != 200:
            self.send_error(server.status)
            return
        start, condition = 0, self.headers["If-Range"]
        asked = re.fullmatch(r"bytes=(\d+)-", self.headers["Range"] or "")
        if asked and server.ranges and condition in (None, *server.headers.values()):
            start = int(asked[1])
            if start >= len(server.content):
                self.send_error(416)
                return
            self.send_response(206)
            last = len(server.content) - 1
            self.send_header("Content-Range", f"bytes {start + server.shift}-{last}/{len(server.content)}")
        else:
            self.send_response(200)
        if server.sized:
            self.send_header("Content-Length", str(len(server.content) - start))
        for name, value in server.headers.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(server.content[start : server.cut])
        if server.cut is not None:
            self.wfile.flush()
            if server.resets:
                time.sleep(0.2)  # What the client has not read yet is lost with the connection.
                self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
                self.connection.close()
            else:
                self.connection.shutdown(socket.SHUT_RDWR)


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[Server]:
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    running = Server()
    thread = threading.Thread(target=running.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    yield running
    running.shutdown()
    thread.join()
    running.server_close()


def break_off(server: Server, folder: Path) -> None:
    """A download that stopped after CUT bytes."""
    server.cut = CUT
    with pytest.raises(UserError, match=r"the connection broke after \d+ of 3300000 bytes; .*same command resumes"):
        fetch(server.address(), folder, None, Silent())
    assert 0 < (folder / "w.safetensors.part").stat().st_size <= CUT
    assert not (folder / "w.safetensors").exists()
    server.cut = None


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


WHOLE = ["w.safetensors", "w.safetensors.json"]


def test_a_download_is_whole_verified_and_recorded(server: Server, tmp_path: Path) -> None:
    told = Told()
    path = fetch(server.address(), tmp_path / "new", DIGEST.upper(), told)
    assert path == tmp_path / "new" / "w.safetensors"
    assert path.read_bytes() == CONTENT
    assert names(path.parent) == WHOLE
    assert json.loads(sidecar_path(path).read_text()) == {
        "sha256": DIGEST,
        "bytes": len(CONTENT),
        "source": server.address(),
        "mtime_ns": path.stat().st_mtime_ns,
    }
    assert told.stages == [("fetch", 4, "megabyte"), ("sha256", 4, "megabyte")]
    assert sum(amount for amount, _ in told.amounts) == 8
    assert told.open == 0
    assert "Range" not in server.requests[0]


def test_without_a_digest_the_one_found_is_said(server: Server, tmp_path: Path) -> None:
    told = Told()
    fetch(server.address("a%20b.pt?dl=1"), tmp_path, None, told)
    assert (tmp_path / "a b.pt").read_bytes() == CONTENT
    assert any(DIGEST in line for line in told.lines)


def test_a_file_that_is_there_needs_no_network(server: Server, tmp_path: Path) -> None:
    for digest in (DIGEST, None, DIGEST):
        fetch(server.address(), tmp_path, digest, Silent())
    assert len(server.requests) == 1


def test_a_copied_folder_needs_no_network(server: Server, tmp_path: Path) -> None:
    path = fetch(server.address(), tmp_path, None, Silent())
    os.utime(path, (1, 1))
    assert fetch(server.address(), tmp_path, None, Silent()) == path
    assert recorded_sha256(path) == DIGEST
    assert json.loads(sidecar_path(path).read_text())["source"] == server.address()
    assert len(server.requests) == 1


def test_a_broken_download_resumes(server: Server, tmp_path: Path) -> None:
    break_off(server, tmp_path)
    have = (tmp_path / "w.safetensors.part").stat().st_size
    told = Told()
    path = fetch(server.address(), tmp_path, DIGEST, told)
    assert server.requests[1]["Range"] == f"bytes={have}-"
    assert server.requests[1]["If-Range"] == '"one"'
    assert path.read_bytes() == CONTENT
    assert names(tmp_path) == WHOLE
    assert told.amounts[0] == (have // 1_000_000, "w.safetensors (kept)")


@pytest.mark.slow
def test_a_reset_connection_resumes_too(server: Server, tmp_path: Path) -> None:
    server.cut, server.resets = CUT, True
    with pytest.raises(UserError, match=r"the connection broke after \d+ bytes \(.*reset.*same command resumes"):
        fetch(server.address(), tmp_path, None, Silent())
    server.cut = None
    assert fetch(server.address(), tmp_path, DIGEST, Silent()).read_bytes() == CONTENT
    assert int(server.requests[1]["Range"][6:-1]) > CUT // 2


def test_a_server_without_ranges_starts_over(server: Server, tmp_path: Path) -> None:
    break_off(server, tmp_path)
    server.ranges = False
    assert fetch(server.address(), tmp_path, DIGEST, Silent()).read_bytes() == CONTENT
    assert "Range" in server.requests[1]


def test_a_file_that_changed_meanwhile_starts_over(server: Server, tmp_path: Path) -> None:
    break_off(server, tmp_path)
    server.content, server.headers = CONTENT[::-1], {"ETag": '"two"'}
    assert fetch(server.address(), tmp_path, None, Silent()).read_bytes() == CONTENT[::-1]


def test_a_part_of_another_address_starts_over(server: Server, tmp_path: Path) -> None:
    break_off(server, tmp_path)
    assert fetch(server.address("other/w.safetensors"), tmp_path, DIGEST, Silent()).read_bytes() == CONTENT
    assert "Range" not in server.requests[1]


def test_a_part_that_nobody_recorded_starts_over(server: Server, tmp_path: Path) -> None:
    (tmp_path / "w.safetensors.part").write_bytes(b"something")
    assert fetch(server.address(), tmp_path, DIGEST, Silent()).read_bytes() == CONTENT
    assert "Range" not in server.requests[0]


def test_a_download_that_was_stopped_while_it_was_verified(server: Server, tmp_path: Path) -> None:
    break_off(server, tmp_path)
    (tmp_path / "w.safetensors.part").write_bytes(CONTENT)
    fetch(server.address(), tmp_path, DIGEST, Silent())
    assert len(server.requests) == 1
    assert names(tmp_path) == WHOLE


@pytest.mark.parametrize("fault", ["another part", "shorter"])
def test_a_wrong_continuation_is_dropped(server: Server, tmp_path: Path, fault: str) -> None:
    server.headers = {}
    break_off(server, tmp_path)
    if fault == "another part":
        server.shift = 1
    else:
        server.content = CONTENT[:-5]
    with pytest.raises(UserError, match="a different part of the file than requested; run the same command again"):
        fetch(server.address(), tmp_path, None, Silent())
    assert names(tmp_path) == []
    assert fetch(server.address(), tmp_path, None, Silent()).read_bytes() == server.content


def test_a_part_beyond_the_end_is_dropped(server: Server, tmp_path: Path) -> None:
    break_off(server, tmp_path)
    server.content = CONTENT[:1000]
    with pytest.raises(UserError, match="answered 416"):
        fetch(server.address(), tmp_path, None, Silent())
    assert len(fetch(server.address(), tmp_path, None, Silent()).read_bytes()) == 1000


def test_a_server_that_does_not_say_the_size(server: Server, tmp_path: Path) -> None:
    server.sized = False
    assert fetch(server.address(), tmp_path, DIGEST, Silent()).read_bytes() == CONTENT


def test_a_wrong_digest_removes_the_download(server: Server, tmp_path: Path) -> None:
    with pytest.raises(UserError, match=f"sha256 {DIGEST}, expected {'0' * 64}; the download was deleted"):
        fetch(server.address(), tmp_path, "0" * 64, Silent())
    assert names(tmp_path) == []


def test_a_file_that_is_there_with_another_digest_stays(server: Server, tmp_path: Path) -> None:
    fetch(server.address(), tmp_path, None, Silent())
    with pytest.raises(UserError, match=f"sha256 {DIGEST}, expected .*; delete it"):
        fetch(server.address(), tmp_path, "0" * 64, Silent())
    assert names(tmp_path) == WHOLE


def test_a_file_of_the_same_name_from_elsewhere_is_not_taken(server: Server, tmp_path: Path) -> None:
    fetch(server.address(), tmp_path, None, Silent())
    with pytest.raises(UserError, match=r"another file already has this name \(from http"):
        fetch(server.address("512/w.safetensors"), tmp_path, None, Silent())
    sidecar_path(tmp_path / "w.safetensors").unlink()
    with pytest.raises(UserError, match="from an unknown source"):
        fetch(server.address(), tmp_path, None, Silent())
    fetch(server.address(), tmp_path, DIGEST, Silent())
    assert len(server.requests) == 1


def test_faults_of_servers_are_one_sentence(server: Server, tmp_path: Path) -> None:
    server.status = 404
    with pytest.raises(UserError, match="the server answered 404 Not Found; check the address"):
        fetch(server.address(), tmp_path, None, Silent())
    server.status, server.headers = 200, {"Content-Type": "text/html; charset=utf-8"}
    with pytest.raises(UserError, match="a web page instead of a file"):
        fetch(server.address(), tmp_path, None, Silent())
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        closed = f"http://127.0.0.1:{free.getsockname()[1]}/w.pt"
        with pytest.raises(UserError, match=r"cannot be reached .*refused"):
            fetch(closed, tmp_path, None, Silent())
    assert names(tmp_path) == []


@pytest.mark.parametrize(
    ("source", "words"),
    [
        ("ftp://host/w.pt", "scheme ftp:// is not supported"),
        ("file:///etc/hostname", "scheme file:// is not supported"),
        ("https://host/", "does not name a file"),
        ("https://host/a/%2e%2e", "does not name a file"),
        ("https://[host/w.pt", "not a valid address"),
        ("none.pt", "no such file"),
        ("owner/../w.pt", "no such file"),
        ("/none/of/this.pt", "no such file"),
    ],
)
def test_sources_that_are_none(tmp_path: Path, source: str, words: str) -> None:
    with pytest.raises(UserError, match=words):
        fetch(source, tmp_path, None, Silent())
    assert names(tmp_path) == []


def test_a_folder_that_cannot_be_written(server: Server, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(UserError, match="cannot be written"):
        fetch(server.address(), tmp_path / "file" / "below", None, Silent())


def test_local_files_stay_where_they_are(tmp_path: Path) -> None:
    path = tmp_path / "w.pt"
    path.write_bytes(CONTENT)
    assert fetch(str(path), tmp_path / "unused", None, Silent()) == path
    assert fetch(str(path), tmp_path / "unused", DIGEST, Silent()) == path
    with pytest.raises(UserError, match=f"sha256 {DIGEST}, expected 00"):
        fetch(str(path), tmp_path / "unused", "0" * 64, Silent())
    assert not (tmp_path / "unused").exists()


def test_the_hub_needs_its_package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "huggingface_hub", None)
    with pytest.raises(UserError, match=r"pip install 'sgbench\[hf\]'"):
        fetch("owner/name/w.safetensors", tmp_path, None, Silent())


HUB = """
from pathlib import Path
def hf_hub_download(repo_id, filename, local_dir):
    if repo_id != "owner/na.me":
        raise RuntimeError("404 Client Error\\nand more")
    path = Path(local_dir, filename)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(b"from the hub")
    return str(path)
"""


def test_the_hub(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """With a stand-in for the package, which is no dependency of the tests."""
    (tmp_path / "huggingface_hub.py").write_text(HUB)
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.delitem(sys.modules, "huggingface_hub", raising=False)
    folder, source, digest = tmp_path / "w", "owner/na.me/ckpts/w.pt", hashlib.sha256(b"from the hub").hexdigest()
    with pytest.raises(UserError, match=f"sha256 {digest}, expected 00"):
        fetch(source, folder, "0" * 64, Silent())
    assert not (folder / "ckpts/w.pt").exists()
    path = fetch(source, folder, digest, Silent())
    assert path == folder / "ckpts/w.pt"
    (tmp_path / "huggingface_hub.py").unlink()
    sys.modules["huggingface_hub"].hf_hub_download = None  # type: ignore[attr-defined]
    assert fetch(source, folder, None, Silent()) == path
    monkeypatch.delitem(sys.modules, "huggingface_hub")
    (tmp_path / "huggingface_hub.py").write_text(HUB)
    with pytest.raises(UserError, match=r"the hub did not provide the file \(404 Client Error\)"):
        fetch("other/name/w.pt", folder, None, Silent())
    monkeypatch.delitem(sys.modules, "huggingface_hub")


def test_digests_are_recorded_until_the_file_changes(tmp_path: Path) -> None:
    path = tmp_path / "w.pt"
    path.write_bytes(CONTENT)
    told = Told()
    assert sha256_file(path, told) == DIGEST
    assert told.stages == [("sha256", 4, "megabyte")]
    assert recorded_sha256(path) is None
    assert sha256_of(path) == DIGEST
    assert recorded_sha256(path) == DIGEST
    record = json.loads(sidecar_path(path).read_text())
    sidecar_path(path).write_text(json.dumps({**record, "sha256": "kept"}))
    assert sha256_of(path) == "kept", "the file is not read again"
    path.write_bytes(CONTENT[1:])
    assert recorded_sha256(path) is None
    assert sha256_of(path) == hashlib.sha256(CONTENT[1:]).hexdigest() == recorded_sha256(path)
    path.unlink()
    assert recorded_sha256(path) is None


@pytest.mark.parametrize("content", ["{}", "[1]", "no json", '{"sha256": "x"}'])
def test_a_file_of_others_with_the_name_of_the_sidecar_is_left_alone(tmp_path: Path, content: str) -> None:
    path = tmp_path / "w.pt"
    path.write_bytes(b"x")
    sidecar_path(path).write_text(content)
    assert sha256_of(path) == hashlib.sha256(b"x").hexdigest()
    assert sidecar_path(path).read_text() == content


def test_the_digest_is_given_where_it_cannot_be_recorded(tmp_path: Path) -> None:
    path = tmp_path / ("w" * 252)
    path.write_bytes(b"x")
    assert sha256_of(path) == hashlib.sha256(b"x").hexdigest(), "the sidecar's name is too long to be written"
    assert names(tmp_path) == [path.name]


def test_what_cannot_be_read_is_one_sentence(tmp_path: Path) -> None:
    for path in (tmp_path, tmp_path / "none"):
        for digest in (sha256_file, sha256_of):
            with pytest.raises(UserError, match="cannot be read"):
                digest(path)


@pytest.mark.slow
def test_digests_and_downloads_do_without_torch() -> None:
    code = "import sys, sgbench.files.fetch, sgbench.files.digest; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
