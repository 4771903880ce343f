"""`sgbench prompts`: list, fetch from a server on this machine, show."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from sgbench.base.errors import UserError
from sgbench.cells import prompts
from sgbench.cells.prompts import PUBLIC, PublicPrompts, is_there, load_prompts
from sgbench.cli.app import app

STYLES = {"/anime.json": ["anime of a cat", "anime of <b>"], "/photo.json": ["photo of a cat", "photo of a dog"]}


class Server(ThreadingHTTPServer):
    """Serves files by their path, and remembers what was asked for."""

    daemon_threads = True

    def __init__(self, files: dict[str, bytes]) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.files = files
        self.asked: list[str] = []

    def address(self, path: str) -> str:
        return f"http://127.0.0.1:{self.server_port}{path}"


class Handler(BaseHTTPRequestHandler):
    server: Server

    def log_message(self, format: str, *args: Any) -> None: ...

    def do_GET(self) -> None:
        self.server.asked.append(self.path)
        content = self.server.files.get(self.path)
        if content is None:
            self.send_error(404)
            return
        self.send_response(200)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[Server]:
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    running = Server({path: json.dumps(styles).encode() for path, styles in STYLES.items()})
    thread = threading.Thread(target=running.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    yield running
    running.shutdown()
    thread.join()
    running.server_close()


@pytest.fixture(autouse=True)
def nothing_fetched(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("SGBENCH_MODELS", str(tmp_path / "models"))
    return tmp_path / "models"


@pytest.fixture
def published(server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    """HPSv2's set with two styles of two, on the server."""
    files = tuple((path.removeprefix("/"), server.address(path)) for path in STYLES)
    entry = PublicPrompts("hpsv2", files, "Apache-2.0", 4, "HPSv2, arXiv 2306.09341", ("wu2023hpsv2",))
    monkeypatch.setitem(prompts.PUBLIC, "hpsv2", entry)


def run(*arguments: object) -> str:
    return CliRunner().invoke(app, ["prompts", *map(str, arguments)], catch_exceptions=False).stdout


def refused(*arguments: object) -> str:
    with pytest.raises(UserError) as caught:
        run(*arguments)
    assert "\n" not in str(caught.value)
    return str(caught.value)


def test_the_list_says_what_is_here() -> None:
    lines = {line.split()[0]: line for line in run("list").splitlines()}
    assert lines.keys() == {"shapes", *PUBLIC}
    assert "200 prompts  there        this package" in lines["shapes"]
    assert "553 prompts  not fetched  GenEval, arXiv 2310.11513 (MIT)" in lines["geneval"]
    listed = json.loads(run("list", "--json"))["prompts"]
    assert {e["name"]: e["there"] for e in listed} == {"shapes": True, "geneval": False, "hpsv2": False}


@pytest.mark.usefixtures("published")
def test_a_published_set_is_fetched_once(server: Server, nothing_fetched: Path) -> None:
    told = json.loads(run("fetch", "hpsv2", "--json").splitlines()[-1])
    assert told["path"] == str(nothing_fetched / "prompts" / "hpsv2")
    assert told["prompts"] == 4
    found = load_prompts("hpsv2")
    assert told["sha256"] == found.sha256
    assert [p.group for p in found.prompts] == ["anime", "anime", "photo", "photo"]
    assert server.asked == list(STYLES)
    assert f"hpsv2 (4 prompts, {found.sha256[:12]})" in run("fetch", "hpsv2")
    assert server.asked == list(STYLES)
    assert "there" in next(line for line in run("list").splitlines() if line.startswith("hpsv2"))


@pytest.mark.usefixtures("published")
def test_a_fetch_that_stopped_half_way_goes_on(server: Server) -> None:
    lost = server.files.pop("/photo.json")
    assert "the server answered 404" in refused("fetch", "hpsv2")
    # Half of a set is none.
    assert not is_there("hpsv2")
    assert "the prompts hpsv2 are not on this machine; run `sgbench prompts fetch hpsv2`." in refused("show", "hpsv2")
    server.files["/photo.json"] = lost
    run("fetch", "hpsv2")
    assert len(load_prompts("hpsv2").prompts) == 4
    assert server.asked == ["/anime.json", "/photo.json", "/photo.json"]


@pytest.mark.usefixtures("published")
def test_another_number_of_prompts_than_was_published_is_refused(server: Server) -> None:
    server.files["/photo.json"] = json.dumps(["one"]).encode()
    assert "the file has 3 prompts, and hpsv2 was published with 4; fetch it again" in refused("fetch", "hpsv2")
    assert not is_there("hpsv2")
    server.files["/photo.json"] = json.dumps(STYLES["/photo.json"]).encode()
    run("fetch", "hpsv2")
    assert len(load_prompts("hpsv2").prompts) == 4


def test_an_address_is_fetched_and_then_read_by_suites(server: Server) -> None:
    address = server.address("/set.csv") + "?download=1"
    server.files["/set.csv?download=1"] = b"Prompts,Category\nA red car.,Colors\n"
    assert "run `sgbench prompts fetch http://" in refused("show", address)
    assert "set (1 prompts, " in run("fetch", address)
    (prompt,) = load_prompts(address).prompts
    assert (prompt.text, prompt.group) == ("A red car.", "Colors")
    run("fetch", address)
    assert len(server.asked) == 1


@pytest.mark.parametrize(
    ("content", "said"),
    [(b"<html>", "it is not JSON"), (b"[]", "there are no prompts in it"), (b"\xff", "cannot be read")],
)
def test_what_is_fetched_is_read_at_once(server: Server, content: bytes, said: str) -> None:
    server.files["/bad.json"] = content
    assert said in refused("fetch", server.address("/bad.json"))


def test_names_that_nobody_publishes() -> None:
    said = refused("fetch", "genevl")
    assert (
        "NAME: there are no published prompts 'genevl', did you mean 'geneval'?; choose one of geneval, hpsv2" in said
    )
    assert "there are no published prompts 'shapes'" in refused("fetch", "shapes")


def test_a_set_is_shown_whole(tmp_path: Path) -> None:
    path = tmp_path / "own.json"
    path.write_text(json.dumps([{"prompt": "a <b> & c", "style": "photo", "seed": 3}, "[red]two[/red] cats"]))
    sha256 = load_prompts(str(path)).sha256
    lines = run("show", path).splitlines()
    assert lines[0] == f"own (2 prompts, {sha256[:12]})"
    assert lines[1] == "photo: 1, no group: 1"
    assert lines[2].split(maxsplit=1) == ["photo", "a <b> & c"]
    assert lines[3].strip() == "[red]two[/red] cats"
    shown = json.loads(run("show", path, "--json"))
    assert shown == {
        "name": "own",
        "sha256": sha256,
        "groups": {"photo": 1, "": 1},
        "prompts": [
            {"prompt": "a <b> & c", "group": "photo", "style": "photo", "seed": 3},
            {"prompt": "[red]two[/red] cats", "group": ""},
        ],
    }
    assert run("show", "shapes").startswith("shapes (200 prompts, ")
    assert "NAME: there are no prompts 'shaeps', did you mean 'shapes'?" in refused("show", "shaeps")
