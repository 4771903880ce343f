"""A whole report from a small suite: files, escaping, refusals."""

from __future__ import annotations

import io
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
import yaml
from PIL import Image

from sgbench import api
from sgbench.errors import UserError
from sgbench.run.store import Store

SWEEP = [
    {"guidance": "none", "gamma_strong": [0, 0.5]},
    {"guidance": "cfg", "scale": [1.5, 2]},
    {"guidance": "sg", "gamma_strong": 0, "gamma_weak": 0.7, "scale": 2},
]
TITLE = "Robert'); <script>alert(1)</script> & co"


@pytest.fixture(scope="module")
def scored(tmp_path_factory: pytest.TempPathFactory, suite_base: dict[str, Any]) -> tuple[Path, Path]:

    folder = tmp_path_factory.mktemp("report")
    path = folder / "tiny.yaml"
    path.write_text(yaml.safe_dump({**suite_base, "title": TITLE, "sweep": SWEEP}))
    suite = api.load_suite(path)
    api.run(suite, folder / "results", device="cpu")
    api.score(suite, folder / "results", device="cpu")
    return path, folder / "results"


class _Page(HTMLParser):
    def __init__(self, text: str) -> None:
        super().__init__()
        self.loads: list[str] = []
        self.scripts = 0
        self.images = 0
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        values = dict(attrs)
        self.scripts += tag == "script"
        self.images += tag == "img"
        if tag in ("img", "script", "link", "iframe", "source"):
            self.loads += [v for k, v in values.items() if k in ("src", "href") and v]


def test_report_has_all_its_files(tmp_path: Path, scored: tuple[Path, Path]) -> None:
    path, results = scored
    report = api.report(api.load_suite(path), results, tmp_path, command="sgbench report x")
    folder = tmp_path / "tiny"
    assert report.page == folder / "index.html"
    for name in ("frontier-gmacs", "frontier-seconds", "precision-recall"):
        assert Image.open(io.BytesIO((folder / f"{name}.png").read_bytes())).size[0] > 800
        assert (folder / f"{name}.svg").read_text().startswith("<?xml")
    table = pd.read_csv(folder / "table.csv")
    assert len(table) == 5
    assert {
        "GMACs/image",
        "GFLOPs/image",
        "FD[fashion-cnn]",
        "FD[fashion-cnn] SE",
        "FD[fashion-cnn] floor",
        "N",
    } <= set(table)
    assert (folder / "table.md").read_text().count("| fashion-routing") == 5 + 1
    gallery = sorted(p.name for p in (folder / "gallery").iterdir())
    assert gallery == ["fashion-routing-cfg.png", "fashion-routing-none.png", "fashion-routing-sg.png"]
    assert Image.open(io.BytesIO((folder / "gallery" / gallery[0]).read_bytes())).size == (320, 64)
    assert report.sentences


def test_page_is_self_contained_and_escaped(tmp_path: Path, scored: tuple[Path, Path]) -> None:
    path, results = scored
    api.report(api.load_suite(path), results, tmp_path, command="sgbench '<b>'")
    text = (tmp_path / "tiny" / "index.html").read_text()
    assert "<script>alert" not in text
    assert "&lt;script&gt;alert" in text
    assert "&lt;b&gt;" in text
    page = _Page(text)
    assert page.scripts == 1
    assert page.images == 3
    assert all(load.startswith("data:image/png;base64,") for load in page.loads)
    assert "@import" not in text


def test_the_same_rows_give_the_same_files(tmp_path: Path, scored: tuple[Path, Path]) -> None:
    path, results = scored
    for name in ("a", "b"):
        api.report(api.load_suite(path), results, tmp_path / name, command="x")
    files = [sorted((tmp_path / name).rglob("*.*")) for name in ("a", "b")]
    assert len(files[0]) > 10
    assert [p.read_bytes() for p in files[0]] == [p.read_bytes() for p in files[1]]


def test_rows_of_another_protocol_are_refused(tmp_path: Path, scored: tuple[Path, Path]) -> None:
    path, results = scored
    suite = api.load_suite(path)
    store = Store(results, "tiny")
    rows = store.read_rows()
    protocols = store.read_protocols()
    own = protocols[rows["fd_protocol"].iloc[0]]
    rows.loc[0, "fd_protocol"] = "0123456789ab"
    other = Store(tmp_path, "tiny")
    other.write_rows(rows)
    other.write_protocols({**protocols, "0123456789ab": {**own, "labels": "random"}})
    with pytest.raises(
        UserError, match=r"FD\[fashion-cnn\] of different protocols is never compared: labels \w+ against"
    ):
        api.report(suite, tmp_path, tmp_path / "reports")
    other.write_protocols(protocols)
    with pytest.raises(UserError, match="fd was scored by an older version; run `sgbench score` again"):
        api.report(suite, tmp_path, tmp_path / "reports")


def test_missing_rows_are_named(tmp_path: Path, scored: tuple[Path, Path]) -> None:
    path, results = scored
    suite = api.load_suite(path)
    with pytest.raises(UserError, match="there are no scored cells"):
        api.report(suite, tmp_path, tmp_path / "reports")
    Store(tmp_path, "tiny").write_rows(Store(results, "tiny").read_rows().iloc[1:])
    with pytest.raises(UserError, match=r"1 of 5 cells have no scores at 20 images \(first: fashion-routing none"):
        api.report(suite, tmp_path, tmp_path / "reports")


def test_seconds_of_two_devices_share_no_axis(tmp_path: Path, scored: tuple[Path, Path]) -> None:
    path, results = scored
    rows = Store(results, "tiny").read_rows()
    rows.loc[0, "device"] = "another processor"
    Store(tmp_path, "tiny").write_rows(rows)
    Store(tmp_path, "tiny").write_protocols(Store(results, "tiny").read_protocols())
    api.report(api.load_suite(path), tmp_path, tmp_path / "reports")
    folder = tmp_path / "reports" / "tiny"
    assert not (folder / "frontier-seconds.png").exists()
    assert "timed on different devices" in (folder / "index.html").read_text()


def test_a_reports_path_that_is_a_file_is_named(tmp_path: Path, scored: tuple[Path, Path]) -> None:
    path, results = scored
    (tmp_path / "file").write_text("")
    with pytest.raises(UserError, match="the report cannot be written there"):
        api.report(api.load_suite(path), results, tmp_path / "file")
