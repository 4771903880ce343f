"""The folder for a web page: what is copied, what the index says, what is removed and what is never touched."""

from __future__ import annotations

import json
import re
import shutil
from collections.abc import Callable
from html.parser import HTMLParser
from pathlib import Path
from typing import Any
from urllib.parse import unquote

import pytest
import typer
from typer.testing import CliRunner

from sgbench.errors import UserError
from sgbench.report import site
from sgbench.report.publish_cli import publish as command
from sgbench.report.site import find_reports, publish, read_entry

PNG = Path(__file__).parents[2] / "reports" / "shapes" / "frontier-gmacs.png"
NASTY = "\"><img src=x onerror=alert(1)> & <script>alert(2)</script> 'q'"
Make = Callable[..., Path]


@pytest.fixture
def report(tmp_path: Path) -> Make:
    """A report folder by its name; further keys stand in its report.json."""

    def make(name: str, files: tuple[str, ...] = ("frontier-gmacs.png", "gallery/a b.webp"), **record: Any) -> Path:
        folder = tmp_path / "reports" / name
        for file in ("index.html", *files):
            (folder / file).parent.mkdir(parents=True, exist_ok=True)
            (folder / file).write_bytes(f"{name} {file}".encode())
        listed = ["index.html", *files, "report.json"]
        told = {"suite": name, "title": f"Title of {name}", "headline": ["First.", "Second."], "cells": 1234, **record}
        (folder / "report.json").write_text(json.dumps({"files": listed, **told}))
        return folder

    return make


class _Links(HTMLParser):
    def __init__(self, text: str) -> None:
        super().__init__()
        self.found: list[str] = []
        self.images = 0
        self.scripts = 0
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.found += [value for key, value in attrs if key in ("href", "src") and value]
        self.images += tag == "img"
        self.scripts += tag == "script"


def files_of(folder: Path) -> dict[str, bytes]:
    return {p.relative_to(folder).as_posix(): p.read_bytes() for p in sorted(folder.rglob("*")) if p.is_file()}


def test_only_listed_files_are_copied_and_every_link_leads_to_one(report: Make, tmp_path: Path) -> None:
    folders = [report("b suite"), report("a")]
    (folders[0] / "notes.txt").write_text("private")
    done = publish(folders, tmp_path / "site")
    found = files_of(tmp_path / "site")
    own = ["index.html", "frontier-gmacs.png", "gallery/a b.webp", "report.json"]
    assert set(found) == {".nojekyll", "index.html", "site.json", *(f"{n}/{f}" for n in ("b suite", "a") for f in own)}
    assert found["b suite/gallery/a b.webp"] == b"b suite gallery/a b.webp"
    assert (done.reports, done.files, done.written, done.removed) == (2, 11, 10, 0)
    text = done.page.read_text()
    links = [link for link in _Links(text).found if not link.startswith(("#", "data:"))]
    assert links == ["b%20suite/index.html", "b%20suite/frontier-gmacs.png", "a/index.html", "a/frontier-gmacs.png"]
    assert all((tmp_path / "site" / unquote(link)).is_file() for link in links)
    assert "First." in text
    assert "Second." not in text
    assert "1,234 cells" in text
    # Nothing of the day or the machine: another folder holds the same bytes.
    publish(folders, tmp_path / "again")
    assert files_of(tmp_path / "again") == found


def test_what_reports_say_is_escaped(report: Make, tmp_path: Path) -> None:
    publish([report("plain", title=NASTY, headline=[NASTY])], tmp_path / "site")
    text = (tmp_path / "site" / "index.html").read_text()
    assert (_Links(text).images, _Links(text).scripts) == (1, 0)
    assert "&lt;script&gt;alert(2)&lt;/script&gt;" in text
    assert not re.search(r"https?://", text)


def test_a_report_of_an_older_version_has_no_title_and_no_count(report: Make, tmp_path: Path) -> None:
    folder = report("old", files=("frontier-gmacs-other.png", "frontier-x.svg", "table.csv"))
    record = json.loads((folder / "report.json").read_text())
    (folder / "report.json").write_text(json.dumps({k: record[k] for k in ("suite", "headline", "files")}))
    entry = read_entry(folder)
    assert (entry.title, entry.cells, entry.picture) == ("old", None, "old/frontier-x.svg")
    publish([folder], tmp_path / "site")
    assert " cells</p>" not in (tmp_path / "site" / "index.html").read_text()


def test_the_same_again_writes_nothing_and_gone_reports_go(report: Make, tmp_path: Path) -> None:
    a, b = report("a"), report("b")
    output = tmp_path / "site"
    publish([a, b], output)
    assert publish([a, b], output)[3:] == (0, 0)
    (a / "index.html").write_text("changed")
    done = publish([a], output)
    # Its page and the index are new; of the other report nothing is left.
    assert (done.written, done.removed) == (2, 4)
    assert not (output / "b").exists()
    assert (output / "a" / "index.html").read_text() == "changed"


def test_what_others_wrote_is_never_touched(report: Make, tmp_path: Path) -> None:
    output = tmp_path / "site"
    output.mkdir()
    (output / "thesis.txt").write_text("mine")
    with pytest.raises(UserError, match=r"holds what `sgbench publish` did not write \(thesis.txt\)"):
        publish([report("a")], output)
    assert files_of(output) == {"thesis.txt": b"mine"}
    # A manifest that was tampered with leads nowhere outside.
    (output / "thesis.txt").unlink()
    (tmp_path / "precious").write_text("mine")
    (output / "site.json").write_text(json.dumps({"files": ["../precious", "site.json", 3, "a\0b"]}))
    publish([report("a")], output)
    assert (tmp_path / "precious").read_text() == "mine"
    (output / "link").symlink_to(tmp_path)
    with pytest.raises(UserError, match=r"did not write \(link\)"):
        publish([report("a")], output)


def test_a_call_that_was_cut_short_is_completed(report: Make, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    left = 4
    real = site.write_atomic

    def write(path: Path, content: bytes) -> None:
        nonlocal left
        left -= 1
        if left < 0:
            raise OSError(28, "No space left on device", str(path))
        real(path, content)

    monkeypatch.setattr(site, "write_atomic", write)
    with pytest.raises(UserError, match="the site cannot be written \\(No space left on device\\)"):
        publish([report("a"), report("b")], tmp_path / "site")
    monkeypatch.undo()
    assert publish([report("a"), report("b")], tmp_path / "site").reports == 2
    publish([report("a"), report("b")], tmp_path / "whole")
    assert files_of(tmp_path / "site") == files_of(tmp_path / "whole")


@pytest.mark.parametrize(
    ("record", "message"),
    [
        ("{", "report.json is damaged"),
        ("[]", "report.json is damaged"),
        ('{"files": []}', "report.json is damaged"),
        ('{"files": ["../a/index.html"], "suite": "a", "headline": []}', "lists files outside of the report"),
        ('{"files": ["/etc/hostname"], "suite": "a", "headline": []}', "lists files outside of the report"),
        ('{"files": ["index.html", "no.png"], "suite": "a", "headline": []}', "the report has no no.png"),
        ('{"files": ["report.json"], "suite": "a", "headline": []}', "the report has no index.html"),
    ],
)
def test_a_damaged_report_is_refused_by_name(report: Make, tmp_path: Path, record: str, message: str) -> None:
    folder = report("a")
    (folder / "report.json").write_text(record)
    with pytest.raises(UserError, match=f"reports/a.*{message}"):
        publish([folder], tmp_path / "site")
    assert not (tmp_path / "site").exists()


def test_folders_that_cannot_be_published(report: Make, tmp_path: Path) -> None:
    a = report("a")
    (tmp_path / "empty").mkdir()
    with pytest.raises(UserError, match=r"empty: this is no report: it has no report\.json"):
        publish([a, tmp_path / "empty"], tmp_path / "site")
    shutil.copytree(a, tmp_path / "other" / "a")
    with pytest.raises(UserError, match=r"two reports are called a: .*reports/a is the other"):
        publish([a, tmp_path / "other" / "a"], tmp_path / "site")
    with pytest.raises(UserError, match="cannot be published under this name"):
        publish([report("index.html")], tmp_path / "site")
    (tmp_path / "file").write_text("")
    with pytest.raises(UserError, match="the site is a folder, and this is a file"):
        publish([a], tmp_path / "file")
    assert publish([a, a], tmp_path / "site").reports == 1


def test_reports_are_found_below_a_folder(report: Make, tmp_path: Path) -> None:
    report("b"), report("a"), report("quick/a")
    assert [p.name for p in find_reports(tmp_path / "reports")] == ["a", "b"]
    for nothing in (tmp_path / "none", tmp_path / "reports" / "quick" / "a" / "gallery"):
        with pytest.raises(UserError, match="there are no reports"):
            find_reports(nothing)


def test_the_command_says_what_it_did(report: Make, tmp_path: Path) -> None:
    app = typer.Typer()
    app.command()(command)
    report("a")
    arguments = ["--reports", str(tmp_path / "reports"), "--output", str(tmp_path / "site")]
    said = CliRunner().invoke(app, [*arguments, "--json"], catch_exceptions=False)
    assert json.loads(said.stdout) == {
        "page": str(tmp_path / "site" / "index.html"), "reports": 1, "files": 7, "written": 6, "removed": 0,
    }  # fmt: skip
    again = CliRunner().invoke(app, [str(tmp_path / "reports" / "a"), *arguments], catch_exceptions=False)
    assert again.stdout.endswith("index.html: 1 reports, 7 files (0 written, 0 removed)\n")


def test_a_browser_shows_it_at_any_width(report: Make, tmp_path: Path) -> None:
    playwright = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
    chromium = shutil.which("chromium")
    if chromium is None:
        pytest.skip("there is no Chromium")
    folder = report("a", title="A" * 300, headline=["word " * 100])
    shutil.copyfile(PNG, folder / "frontier-gmacs.png")
    page_file = publish([folder], tmp_path / "site").page
    said: list[str] = []
    with playwright.sync_playwright() as running:
        browser = running.chromium.launch(executable_path=chromium, args=["--no-sandbox", "--disable-gpu"])
        for width in (375, 1280):
            page = browser.new_page(viewport={"width": width, "height": 800}, color_scheme="dark")
            page.on("console", lambda message: said.append(message.text))
            page.on("requestfailed", lambda request: said.append(request.url))
            page.on("request", lambda r: None if r.url.startswith(("file:", "data:")) else said.append(r.url))
            page.goto(page_file.as_uri(), wait_until="load")
            page.get_by_role("img").scroll_into_view_if_needed()
            page.wait_for_function("[...document.images].every(image => image.complete && image.naturalWidth > 0)")
            assert page.evaluate("document.documentElement.scrollWidth") <= width
            assert page.evaluate("getComputedStyle(document.body).backgroundColor") != "rgb(255, 255, 255)"
        browser.close()
    assert said == []
