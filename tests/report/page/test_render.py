"""The page as text: what it holds, what it escapes, what it leaves beside itself."""

from __future__ import annotations

import base64
import hashlib
import json
import re
from collections.abc import Callable
from html.parser import HTMLParser
from typing import Any

import numpy as np
import pandas as pd
import pytest

from sgbench.report.answers.answer import Section
from sgbench.report.page.content import Content, Figure
from sgbench.report.page.payload import payload
from sgbench.report.page.render import EMBEDDED_BYTES, MOST_LINES, MOST_SENTENCES, Page, as_script, place, render_page
from sgbench.report.page.text import said
from tests.report.alike import without_library

Fill = Callable[..., Content]
HOSTILE = '<script>alert(1)</script></script><!--"><img src=x onerror=alert(2)>'


class _Reader(HTMLParser):
    """Elements, ids, addresses, the levels of headings, and the text of scripts."""

    def __init__(self, html: bytes) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.ids: list[str] = []
        self.addresses: list[str] = []
        self.levels: list[int] = []
        self.events: list[str] = []
        self.scripts: list[str] = []
        self.policy = ""
        self.inside = False
        self.feed(html.decode())

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        values = {key: value or "" for key, value in attrs}
        self.tags.append(tag)
        self.ids += [values["id"]] if "id" in values else []
        self.addresses += [values[key] for key in ("src", "href") if key in values]
        self.events += [key for key in values if key.startswith("on")]
        if re.fullmatch(r"h[1-6]", tag):
            self.levels.append(int(tag[1]))
        if tag == "script" and values.get("type") != "application/json":
            self.scripts.append("")
            self.inside = True
        if values.get("http-equiv") == "Content-Security-Policy":
            self.policy = values["content"]

    def handle_data(self, data: str) -> None:
        if self.inside:
            self.scripts[-1] += data

    def handle_endtag(self, tag: str) -> None:
        self.inside = False


@pytest.fixture(scope="module")
def page(content: Fill) -> Page:
    return render_page(content("fashion-mnist"))


@pytest.mark.slow
def test_the_page_holds_everything_and_loads_nothing(page: Page) -> None:
    reader = _Reader(page.html)
    assert page.external == []
    allowed = ("data:", "#")
    beside = {a for a in reader.addresses if not a.startswith(allowed)}
    assert beside == {"table.csv", "frontier%20gmacs.svg"}
    assert not {"iframe", "object", "embed", "base"} & set(reader.tags)
    assert b"@import" not in page.html
    assert len(page.html) < 3_000_000


def test_ids_are_unique_and_headings_in_order(page: Page) -> None:
    reader = _Reader(page.html)
    assert len(reader.ids) == len(set(reader.ids))
    assert reader.levels[0] == 1
    assert reader.levels.count(1) == 1
    assert all(after - before <= 1 for before, after in zip(reader.levels, reader.levels[1:], strict=False))


def test_only_the_pages_own_scripts_may_run(page: Page) -> None:
    reader = _Reader(page.html)
    allowed = set(re.findall(r"'sha256-([^']+)'", reader.policy))
    own = {base64.b64encode(hashlib.sha256(s.encode()).digest()).decode() for s in reader.scripts if s}
    assert len(own) == 2
    assert own == allowed
    assert "unsafe-eval" not in reader.policy
    assert "script-src 'unsafe-inline'" not in reader.policy
    assert reader.events == []


def test_the_same_content_gives_the_same_bytes(content: Fill, page: Page) -> None:
    assert render_page(content("fashion-mnist")).html == page.html
    smaller = without_library(page.html)
    assert len(page.html) - len(smaller) > 500_000
    assert b"sha256-" not in smaller
    assert b"Summary" in smaller


def test_hostile_text_stays_text(content: Fill) -> None:
    plain = content("shapes")
    suite = plain.suite.model_copy(update={"title": HOSTILE})
    rows = plain.rows.assign(model=HOSTILE, parameters=json.dumps({HOSTILE: HOSTILE}))
    dirty = plain._replace(
        suite=suite,
        rows=rows,
        summary=[HOSTILE, f"`{HOSTILE}`"],
        missing=[HOSTILE],
        sections=[Section(HOSTILE, [HOSTILE], pd.DataFrame({HOSTILE: [HOSTILE]}), HOSTILE)],
        figures=[Figure(HOSTILE, HOSTILE, HOSTILE, HOSTILE, plain.figures[0].svg)],
        strips=[plain.strips[0]._replace(caption=HOSTILE, alt=HOSTILE)],
        prompts=[HOSTILE],
        models=[plain.models[0]._replace(name=HOSTILE, licence=HOSTILE)],
        protocols=[HOSTILE],
        made_by={"commit": HOSTILE, "devices": [HOSTILE]},
        command=HOSTILE,
        files=["javascript:alert(1)"],
    )
    clean, found = _Reader(render_page(plain).html), _Reader(render_page(dirty).html)
    assert found.tags.count("script") == clean.tags.count("script")
    assert found.tags.count("img") == clean.tags.count("img")
    assert found.events == []
    assert not [a for a in found.addresses if a.startswith("javascript:")]


def test_code_in_sentences_is_marked_and_escaped() -> None:
    assert said("run `a <b>` & go") == "run <code>a &lt;b&gt;</code> &amp; go"
    assert said("one ` alone") == "one ` alone"


def test_many_pictures_stay_outside(content: Fill) -> None:
    plain = content("shapes")
    big = {cell: p._replace(data=b"x" * 60_000) for cell, p in plain.cells.items()}
    made = render_page(plain._replace(cells=big))
    assert [p.file for p in made.external] == [p.file for p in big.values()]
    assert "img-src data: 'self' file:;" in _Reader(made.html).policy
    data = json.loads(payload(plain._replace(cells=big), {p.file: p.file for p in big.values()}))
    assert data["columns"]["picture"] == [p.file for p in big.values()]


def test_pictures_are_placed_by_the_size_they_have_in_the_page(content: Fill) -> None:
    strip = content("shapes").strips[0]
    fits = strip._replace(data=b"x" * (EMBEDDED_BYTES * 3 // 4 - 1))
    over = strip._replace(file="gallery/over.png", data=b"x" * (EMBEDDED_BYTES * 3 // 4))
    sources, external = place([[fits], [over]])
    assert sources[fits.file].startswith("data:image/png;base64,")
    assert external == [over]


def test_the_payload_gives_back_every_value(content: Fill) -> None:
    plain = content("fashion-mnist")
    rows = plain.rows.copy()
    rows.loc[3, "fd"] = float("nan")
    rows["gamma_weak"] = ["cosine 0.6 to 0" if n % 2 else "0.0" for n in range(len(rows))]
    data = json.loads(payload(plain._replace(rows=rows), {p.file: "" for p in plain.cells.values()}))

    def column(name: str) -> list[Any]:
        found = data["columns"][name]
        if isinstance(found, list):
            return found
        return [found["always"]] * len(rows) if "always" in found else [found["values"][c] for c in found["codes"]]

    assert column("cell") == rows["cell"].tolist()
    assert column("gamma_weak") == rows["gamma_weak"].tolist()
    assert column("steps") == rows["steps"].tolist()
    assert column("fd")[3] is None
    for name in ("fd", "fd_se", "kd", "gmacs_per_image", "seconds_per_image"):
        np.testing.assert_array_equal(np.array(column(name), dtype=float), rows[name].to_numpy())
    assert not [name for name in data["columns"] if "replicates" in name]


def test_long_sections_are_folded_behind_their_beginning(content: Fill) -> None:
    def texts(sentences: int, lines: int) -> tuple[int, str]:
        table = pd.DataFrame({"rule": [f"rule {n}" for n in range(lines)]})
        section = Section("A question", [f"Answer {n}." for n in range(sentences)], table, "")
        html = render_page(content("shapes")._replace(sections=[section], prompts=[], cells={})).html.decode()
        found = html[html.index("A question") : html.index("</section>", html.index("A question"))]
        return found.count("<details>"), found

    assert texts(MOST_SENTENCES + 1, MOST_LINES)[0] == 0
    folded, html = texts(MOST_SENTENCES + 2, MOST_LINES + 1)
    assert folded == 2
    assert html.index(f"Answer {MOST_SENTENCES - 1}.") < html.index("2 more sentences") < html.index("Answer 5.")
    assert f"Table of {MOST_LINES + 1} rows" in html


def test_figures_have_their_files_below_them(content: Fill) -> None:
    plain = content("shapes")
    files = ["frontier.pdf", "frontier.svg", "table.csv"]
    html = render_page(plain._replace(files=files, figures=[plain.figures[0]._replace(name="frontier")])).html.decode()
    figures, rest = html.split('id="reproduce"')
    assert re.findall(r'<a href="([^"]+)" download', figures[figures.index('id="figures"') :]) == files[1::-1]
    assert re.findall(r'<a href="([^"]+)" download', rest) == ["table.csv"]


@pytest.mark.slow
def test_the_page_says_what_made_it(content: Fill) -> None:
    made_by = {
        "sgbench": "0.1.0", "commit": "abc", "dirty": True, "images_made_at": ["def (files changed since)"],
        "devices": ["a device, 2 threads"], "suite_sha256": "0123", "torch": "2", "python": "3",
    }  # fmt: skip
    plain = content("shapes")
    html = render_page(plain._replace(made_by=made_by, command="sgbench bench x.yaml")).html.decode()
    facts = dict(re.findall(r"<dt>([^<]+)</dt><dd>([^<]+)</dd>", html))
    assert facts["commit"] == "abc (files changed since)"
    assert facts["images made at commit"] == "def (files changed since)"
    assert facts["devices"] == "a device, 2 threads"
    assert facts["suite sha256"] == "0123"
    model = plain.models[0]
    for told in (model.sha256, model.licence, "sgbench bench x.yaml", *plain.protocols):
        assert told in html
    clean = render_page(plain._replace(made_by={**made_by, "dirty": False})).html.decode()
    assert "abc (clean)" in clean
    assert (
        "unknown"
        in dict(re.findall(r"<dt>([^<]+)</dt><dd>([^<]+)</dd>", _without(plain, made_by, "devices")))["devices"]
    )


def _without(content: Content, made_by: dict[str, Any], name: str) -> str:
    left = {key: value for key, value in made_by.items() if key != name}
    return render_page(content._replace(made_by=left)).html.decode()


@pytest.mark.slow
def test_the_floor_is_told_with_its_metric(content: Fill) -> None:
    html = render_page(content("fashion-mnist")).html.decode()
    floor = (
        "The same number of real test images scores 0.015 in FD[fashion-cnn] (real-image baseline; standard deviation "
        "between sets 0.0014)."
    )
    assert floor in html
    assert "real-image baseline; standard" not in render_page(content("shapes")).html.decode()
    assert "real test images scores" not in render_page(content("shapes")).html.decode()


def test_no_scores_no_chart(content: Fill) -> None:
    plain = content("fashion-mnist")
    reader = _Reader(render_page(plain._replace(metrics=[], sections=[], figures=[], strips=[], standings={})).html)
    assert "chart" not in reader.ids
    assert {"filters", "table"} <= set(reader.ids)
    assert len([s for s in reader.scripts if s]) == 1


def test_a_script_cannot_end_its_element() -> None:
    assert as_script("a('</SCRIPT>' + '<!--')") == r"a('\x3c/SCRIPT>' + '\x3c!--')"
