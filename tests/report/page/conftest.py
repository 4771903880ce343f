"""A browser for the page's tests, and pages filled from committed rows."""

from __future__ import annotations

import io
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import pandas as pd
import pytest
from PIL import Image, ImageDraw

from sgbench import api
from sgbench.metrics.catalogue import METRICS
from sgbench.report.answers.answer import Section
from sgbench.report.page.content import Content, Figure, ModelCard, Picture
from sgbench.report.page.render import render_page

ROOT = Path(__file__).parents[3]
SVG = (
    b'<?xml version="1.0"?>\n<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 40 20"><metadata>http://x</metadata>'
    b'<defs><style type="text/css">*{stroke-linejoin: round}</style><path id="a" d="M0,0L40,20"/></defs>'
    b'<use href="#a" xlink:href="#a" xmlns:xlink="http://www.w3.org/1999/xlink" stroke="red"/></svg>'
)


def png(width: int, height: int, colour: str) -> bytes:
    """A plain picture with a diagonal."""
    image = Image.new("RGB", (width, height), colour)
    ImageDraw.Draw(image).line((0, 0, width, height), fill="white")
    buffer = io.BytesIO()
    image.save(buffer, "PNG")
    return buffer.getvalue()


def filled(name: str, **changes: Any) -> Content:
    """The content of a page of a committed suite, with plain pictures; `changes` replace parts of it."""
    suite = api.load_suite(ROOT / "suites" / f"{name}.yaml")
    rows = pd.read_csv(ROOT / "results" / name / "rows.csv", dtype={"cell": str, "commit": str})
    rows = rows[rows["samples"] == suite.samples].reset_index(drop=True)
    metrics = [metric for metric in METRICS if metric in suite.metrics and metric in rows]
    metrics.sort(key=suite.metrics.index)
    plain = Picture(
        "gallery/strip.png", "Best cells", "The best of every rule", png(320, 64, "navy"), "image/png", 320, 64
    )
    cells = [str(cell) for cell in rows["cell"]]
    content = Content(
        suite=suite,
        rows=rows,
        axes=["gmacs_per_image", "seconds_per_image"],
        metrics=metrics,
        summary=["SG saves 23 % of the GMACs at CFG's best quality.", "Recall is the same within noise."],
        missing=["One cell has no score of FD; `sgbench score` adds it."],
        sections=[
            Section(
                "Every rule against CFG", ["A sentence."], pd.DataFrame({"rule": ["SG"], "GMACs saved": [0.25]}), ""
            ),
            Section("In words", [f"Sentence {n}." for n in range(9)], None, "A note."),
        ],
        figures=[Figure("frontier", "Frontier", "What it shows", str(rows["model"].iloc[0]), SVG)],
        strips=[plain],
        cells={cell: plain._replace(file=f"gallery/{cell}.png", alt=f"Images of {cell}") for cell in cells},
        prompts=["a red square", "two blue circles"] if suite.prompts else [],
        standings={cell: ("frontier", "tie", "dominated")[n % 3] for n, cell in enumerate(cells)},
        models=[ModelCard(str(rows["model"].iloc[0]), "A model", True, "1,000", "Apache-2.0", "0123456789abcdef" * 4)],
        protocols=["FD: as it is measured"],
        made_by={"sgbench": "0.1.0", "commit": "abc", "dirty": True, "images_made_at": ["def"], "devices": []},
        command="sgbench report suites/x.yaml",
        files=["table.csv", "frontier gmacs.svg"],
    )
    return content._replace(**changes)


class Opened(NamedTuple):
    """A page in the browser, what its console said, and what it asked for beyond itself."""

    page: Any
    complaints: list[str]
    requests: list[str]

    def until(self, expression: str) -> None:
        """Wait until an expression is true in the page, ten seconds at most.

        `Page.wait_for_function` cannot: it evaluates in a timer of the page, where the page's policy forbids it.
        """
        deadline = time.monotonic() + 10
        while not self.page.evaluate(expression):
            assert time.monotonic() < deadline, f"still not: {expression}"
            time.sleep(0.02)


Open = Callable[..., Opened]


@pytest.fixture(scope="session")
def content() -> Callable[..., Content]:
    """The content of a page, by the name of its suite and with parts replaced."""
    return filled


@pytest.fixture(scope="module")
def idle_pages() -> list[Any]:
    """Browser pages that no test uses at the moment. A second use takes a third of the time of a new page."""
    return []


@pytest.fixture
def open_page(browser: Any, tmp_path: Path, idle_pages: list[Any]) -> Iterator[Open]:
    """Write a page and open it from the file system. At the end nothing may have been complained of or asked for.

    With options for the browser's context, the page is a new one.
    """
    opened: list[tuple[Opened, Callable[[], None]]] = []

    def show(content: Content, hash_: str = "", written: Sequence[str] = (), **options: Any) -> Opened:
        made = render_page(content)
        file = tmp_path / "index.html"
        file.write_bytes(made.html)
        for picture in made.external:
            if picture.file in written:
                (tmp_path / picture.file).parent.mkdir(exist_ok=True)
                (tmp_path / picture.file).write_bytes(picture.data)
        page = idle_pages.pop() if idle_pages and not options else new_page(browser, **options)
        one = Opened(page, [], [])
        listeners = {
            "request": lambda request: one.requests.append(request.url),
            "console": lambda m: one.complaints.append(m.text) if m.type in ("error", "warning") else None,
            "pageerror": lambda error: one.complaints.append(str(error)),
        }
        for event, listener in listeners.items():
            page.on(event, listener)

        def leave() -> None:
            for event, listener in listeners.items():
                page.remove_listener(event, listener)
            if options:
                page.context.close()
            else:
                page.emulate_media(color_scheme="null")
                page.mouse.move(0, 0)
                page.goto("about:blank")
                idle_pages.append(page)

        opened.append((one, leave))
        page.goto(file.as_uri() + hash_)
        page.wait_for_selector("html[data-ready]")
        return one

    yield show
    for one, leave in opened:
        leave()
        assert one.complaints == []
        foreign = [url for url in one.requests if not url.startswith(("file:", "data:"))]
        assert foreign == []


def new_page(browser: Any, **options: Any) -> Any:
    """A page in a context of its own that reaches files alone."""
    page = browser.new_context(**{"viewport": {"width": 1280, "height": 900}, **options}).new_page()
    page.set_default_timeout(10_000)
    page.route("**/*", lambda route: route.continue_() if route.request.url.startswith("file:") else route.abort())
    return page
