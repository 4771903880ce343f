"""The index over reports: what it says, what it escapes, what it refuses, and how it behaves in a browser."""

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

from sgbench.base.errors import UserError
from sgbench.report.site.build import find_reports, publish, read_entry, render_index

ROOT = Path(__file__).parents[2]
PNG = ROOT / "reports" / "shapes" / "frontier-gmacs.png"
NASTY = "\"><img src=x onerror=alert(1)> & <script>alert(2)</script> 'q'"
Make = Callable[..., Path]


class Tags(HTMLParser):
    """Addresses in a page, and how many tags of a kind it has."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.addresses: list[str] = []
        self.count: dict[str, int] = {}
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.addresses += [value for key, value in attrs if key in ("href", "src") and value]
        self.count[tag] = self.count.get(tag, 0) + 1


def test_every_link_is_relative_and_leads_to_a_file(report: Make, tmp_path: Path) -> None:
    files = ("frontier-gmacs.png", "table.csv", "references.bib")
    page = publish([report("b suite", files), report("a: ü?", files)], tmp_path / "site").page
    addresses = [a for a in Tags(page.read_text("utf-8")).addresses if not a.startswith(("#", "data:"))]
    assert addresses[:6] == [
        "b%20suite/index.html", "b%20suite/index.html", "b%20suite/frontier-gmacs.png",
        "b%20suite/table.csv", "b%20suite/references.bib", "b%20suite/report.json",
    ]  # fmt: skip
    assert len(addresses) == 12
    assert all((tmp_path / "site" / unquote(address)).is_file() for address in addresses)


def test_a_report_is_told_with_what_it_lacks(report: Make) -> None:
    said = {"headline": ["First.", "Second."], "missing": ["3 cells have no scores."], "cells": 1234, "samples": 1}
    text = render_index([read_entry(report("a", **said))]).decode()
    assert re.findall(r"<p.*?>(.*)</p>", text)[1:] == [
        "First.", "Second.", "3 cells have no scores.", "1,234 cells, 1 images each",
    ]  # fmt: skip
    assert 'alt="Quality against compute: Title of a"' in text
    assert "1 suite of benchmarks" in text


def test_what_reports_say_is_escaped(report: Make) -> None:
    text = render_index([read_entry(report("a", title=NASTY, headline=[NASTY], missing=[NASTY]))]).decode()
    assert Tags(text).count["img"] == 1
    assert "script" not in Tags(text).count
    assert text.count("&lt;script&gt;alert(2)&lt;/script&gt;") == 5
    assert not re.search(r"https?://", text)


def test_a_report_of_an_older_version_says_less(report: Make) -> None:
    folder = report("old", files=("table.md",))
    record = json.loads((folder / "report.json").read_text())
    (folder / "report.json").write_text(json.dumps({k: record[k] for k in ("suite", "files")} | {"headline": []}))
    entry = read_entry(folder)
    assert (entry.title, entry.facts, entry.thumbnail) == ("old", "", None)
    text = render_index([entry]).decode()
    assert re.findall(r"<li><a.*?>(.*)</a>", text) == ["Markdown", "JSON"]
    assert "img" not in Tags(text).count


@pytest.mark.parametrize(
    ("files", "shown"),
    [
        (("frontier-gmacs-b.png", "frontier-seconds.png", "frontier-gmacs.svg", "frontier-gmacs.png"), "gmacs.png"),
        (("frontier-x.svg", "lpips.png"), "frontier-x.svg"),
        (("throughput-long.png", "speed-up.pdf", "speed-up.png", "gallery/a.png"), "speed-up.png"),
        (("gallery/a.png", "table.csv"), None),
    ],
)
def test_a_plot_for_each_suite(report: Make, files: tuple[str, ...], shown: str | None) -> None:
    entry = read_entry(report("a", files))
    assert (entry.thumbnail or "").endswith(shown or "")
    assert (entry.thumbnail is None) == (shown is None)
    told = "Quality against compute" if shown and "sp" not in shown else "A figure"
    assert (f'alt="{told}: Title of a"' in render_index([entry]).decode()) == (shown is not None)


@pytest.mark.parametrize(
    ("record", "message"),
    [
        ("{", "report.json is damaged"),
        ("\xff", "report.json is damaged"),
        ("[]", "report.json is damaged"),
        ('{"files": []}', "report.json is damaged"),
        ('{"files": ["../a/index.html"], "suite": "a", "headline": []}', "lists files outside of the report"),
        ('{"files": ["/etc/hostname"], "suite": "a", "headline": []}', "lists files outside of the report"),
        ('{"files": "index.html", "suite": "a", "headline": []}', "lists files outside of the report"),
        ('{"files": ["index.html", "no.png"], "suite": "a", "headline": []}', "the report has no no.png"),
        ('{"files": ["report.json"], "suite": "a", "headline": []}', "the report has no index.html"),
    ],
)
def test_a_damaged_report_is_refused_by_name(report: Make, tmp_path: Path, record: str, message: str) -> None:
    folder = report("a")
    (folder / "report.json").write_bytes(record.encode("latin-1"))
    with pytest.raises(UserError, match=f"reports/a.*{message}; write it again with"):
        publish([report("b"), folder], tmp_path / "site")
    assert not (tmp_path / "site").exists()


def test_a_report_without_its_page_is_refused(report: Make) -> None:
    folder = report("a")
    (folder / "index.html").unlink()
    with pytest.raises(UserError, match=r"reports/a: the report has no index\.html; write it again with"):
        read_entry(folder)


def opened(browser: Any, said: list[str], **context: Any) -> Any:
    """A page that notes in `said` what it should not have to say, and what it asks of others."""
    page = browser.new_page(**context)
    page.on("console", lambda message: said.append(message.text))
    page.on("pageerror", lambda error: said.append(str(error)))
    page.on("requestfailed", lambda request: said.append(request.url))
    page.on("request", lambda r: None if r.url.startswith(("file:", "data:", "blob:")) else said.append(r.url))
    return page


@pytest.mark.full
@pytest.mark.slow
def test_it_fits_any_width_in_light_and_dark(report: Make, tmp_path: Path, browser: Any) -> None:
    folder = report("a", title="A" * 300, headline=["word " * 100, "B" * 200])
    shutil.copyfile(PNG, folder / "frontier-gmacs.png")
    site = publish([folder], tmp_path / "site")
    said: list[str] = []
    for width in (375, 1280):
        grounds = []
        for scheme in ("light", "dark"):
            page = opened(browser, said, viewport={"width": width, "height": 800}, color_scheme=scheme)
            page.goto(site.page.as_uri(), wait_until="load")
            page.get_by_role("img").scroll_into_view_if_needed()
            page.wait_for_function("[...document.images].every(image => image.complete && image.naturalWidth > 0)")
            assert page.evaluate("document.documentElement.scrollWidth") <= width
            grounds.append(page.evaluate("getComputedStyle(document.body).backgroundColor"))
        assert grounds[0] == "rgb(255, 255, 255)" != grounds[1]
    assert said == []


@pytest.mark.slow
def test_the_committed_reports_are_a_site(tmp_path: Path, browser: Any) -> None:
    """By keyboard from the index to every page; each link of every page leads to a file of the folder."""
    folders = find_reports(ROOT / "reports")
    site = publish(folders, tmp_path / "site")
    said: list[str] = []
    page = opened(browser, said)
    for number, folder in enumerate(folders):
        page.goto(site.page.as_uri(), wait_until="load")
        page.keyboard.press("Tab")
        assert page.evaluate("document.activeElement.textContent") == "Skip to the content"
        link = page.get_by_role("heading", level=2).get_by_role("link").nth(number)
        for _ in range(100):
            if link.evaluate("link => link === document.activeElement"):
                break
            page.keyboard.press("Tab")
        page.keyboard.press("Enter")
        page.wait_for_url(f"**/{folder.name}/index.html")
        page.wait_for_load_state("load")
        links = page.evaluate("[...document.querySelectorAll('a[href], [src]')].map(one => one.href || one.src)")
        assert len(links) > 5
        for target in (unquote(one).split("#")[0] for one in links if not one.startswith(("data:", "http"))):
            found = Path(target.removeprefix("file://"))
            assert found.is_file()
            assert found.is_relative_to((tmp_path / "site").resolve())
    assert said == []
