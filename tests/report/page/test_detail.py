"""What is known of a cell, hostile text, and pictures beside the page, in headless Chromium."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest

from sgbench.report.page.content import Content
from sgbench.stats.estimates import with_error

pytestmark = pytest.mark.slow

Fill = Callable[..., Content]
Open = Callable[..., Any]


def test_the_detail_says_everything_of_a_cell(content: Fill, open_page: Open) -> None:
    filled = content("shapes")
    row = filled.rows.iloc[7]
    opened = open_page(filled, f"#cell-{row['cell']}")
    page = opened.page
    dialog = page.locator("dialog[open]")
    text = dialog.inner_text()
    for name in ("composition", "composition[colors]"):
        assert with_error(float(row[name]), float(row[f"{name}_se"])) in text
    for told in (row["checkpoint_sha256"], row["commit"], row["device"], row["composition_protocol"]):
        assert str(told) in text
    assert f"sgbench export {row['cell']} --adm {row['cell']}.npz" in text
    assert dialog.locator("img").get_attribute("alt") == f"Images of {row['cell']}"
    assert dialog.get_attribute("aria-labelledby") == "detail-title"
    dialog.get_by_text("The prompts, in order").click()
    assert dialog.locator("ol li").all_inner_texts() == filled.prompts
    dialog.get_by_role("button", name="Close").click()
    page.wait_for_selector("dialog", state="hidden")
    opened.until("location.hash === ''")


def test_going_back_and_forth_opens_and_closes_the_cell(content: Fill, open_page: Open) -> None:
    opened = open_page(content("shapes"))
    page = opened.page

    def there() -> str:
        return str(page.evaluate("location.hash"))

    page.locator("#table tbody a").nth(1).click()
    page.wait_for_selector("dialog[open]")
    page.evaluate("history.back()")
    page.wait_for_selector("dialog", state="hidden")
    page.evaluate("history.forward()")
    page.wait_for_selector("dialog[open]")
    page.mouse.click(5, 5)
    page.wait_for_selector("dialog", state="hidden")
    opened.until("location.hash === ''")
    # Back and at once to the cell again: the close event comes when the address names it already.
    page.locator("#table tbody a").nth(1).click()
    page.wait_for_selector("dialog[open]")
    again = "() => { location.hash = there }"
    page.evaluate(f"there => {{ addEventListener('hashchange', {again}, {{ once: true }}); history.back() }}", there())
    page.wait_for_timeout(300)
    assert page.locator("dialog[open]").count() == 1
    assert there().startswith("#cell-")


def test_an_address_of_no_cell_opens_nothing(content: Fill, open_page: Open) -> None:
    page = open_page(content("shapes"), "#cell-<img src=x>").page
    assert page.locator("dialog[open]").count() == 0
    assert page.locator("img[src=x]").count() == 0


def test_hostile_text_is_shown_and_never_run(content: Fill, open_page: Open) -> None:
    hostile = '</script><script>window.ran = 1</script>"><img src=x onerror="window.ran = 1">\'`${window.ran = 1}'
    plain = content("shapes")
    rows = plain.rows.assign(model=hostile, device=hostile, parameters=json.dumps({hostile: hostile}))
    cells = {cell: p._replace(caption=hostile, alt=hostile) for cell, p in plain.cells.items()}
    suite = plain.suite.model_copy(update={"title": hostile})
    strips = [plain.strips[0]._replace(caption=hostile, alt=hostile)]
    dirty = plain._replace(
        suite=suite,
        rows=rows,
        cells=cells,
        prompts=[hostile, "javascript:alert(1)"],
        summary=[hostile],
        strips=strips,
        figures=[plain.figures[0]._replace(title=hostile, caption=hostile, model=hostile)],
    )
    page = open_page(dirty).page
    page.locator("#table tbody a").first.click()
    page.wait_for_selector("dialog[open]")
    assert page.title() == hostile
    assert page.locator("h1").inner_text() == hostile
    assert hostile in page.locator("dialog").inner_text()
    assert page.locator("dialog img").get_attribute("alt") == hostile
    assert page.locator("#figure-1").get_attribute("aria-label") == f"{hostile}: {hostile}"
    assert page.evaluate("window.ran") is None
    assert page.locator("img[src=x]").count() == 0


def test_text_cannot_be_turned_around_or_hidden(content: Fill, open_page: Open) -> None:
    """Marks that reverse what follows and control characters are spelt out; right-to-left letters are letters."""
    turning, arabic = "a \u202ebcd\u2066\x00\x1b\u2028 red", "مربع أحمر"
    spelt = "a \\u202ebcd\\u2066\\x00\\x1b\\u2028 red"
    plain = content("shapes")
    suite = plain.suite.model_copy(update={"title": turning})
    dirty = plain._replace(
        suite=suite,
        rows=plain.rows.assign(model=turning),
        prompts=[turning, arabic],
        summary=[f"{turning} `{turning}`"],
        command=turning,
        figures=[plain.figures[0]._replace(title=turning)],
    )
    page = open_page(dirty).page
    page.locator("#table tbody a").first.click()
    page.wait_for_selector("dialog[open]")
    assert page.locator("h1").inner_text() == spelt
    assert page.locator(".answer p").inner_text() == f"{spelt} {spelt}"
    assert page.locator("#command").inner_text() == spelt
    assert spelt in page.locator("#figure-1").get_attribute("aria-label")
    page.locator("dialog summary").click()
    assert page.locator("dialog ol li").all_inner_texts() == [spelt, arabic]


def test_pictures_beside_the_page_come_when_they_are_wanted(content: Fill, open_page: Open) -> None:
    plain = content("shapes")
    # Text after the picture's end makes it heavy and changes nothing of what is shown.
    cells = {cell: p._replace(data=p.data + b" " * 60_000) for cell, p in plain.cells.items()}
    wanted = cells[str(plain.rows["cell"].iloc[0])]
    opened = open_page(plain._replace(cells=cells), written=[wanted.file])
    assert not [url for url in opened.requests if "gallery" in url]
    opened.page.locator("#table tbody a").first.click()
    opened.until("document.querySelector('dialog img')?.naturalWidth === 320")
    assert [url.rpartition("/")[2] for url in opened.requests if "gallery" in url] == [wanted.file.rpartition("/")[2]]


def test_strips_are_loaded_when_they_come_near(content: Fill, open_page: Open) -> None:
    plain = content("shapes")
    strip = plain.strips[0]._replace(data=plain.strips[0].data + b" " * 1_200_000)
    tall = [f"Sentence {n}." for n in range(400)]
    opened = open_page(plain._replace(strips=[strip], summary=tall), written=[strip.file])
    assert not [url for url in opened.requests if "gallery" in url]
    opened.page.locator(".strips img").scroll_into_view_if_needed()
    opened.until("document.querySelector('.strips img').naturalWidth === 320")


def test_the_command_can_be_copied_or_is_selected(content: Fill, open_page: Open) -> None:
    opened = open_page(content("shapes"), permissions=[])
    button = opened.page.locator("#reproduce button")
    assert button.get_attribute("aria-live") == "polite"
    button.click()
    opened.until("document.querySelector('#reproduce button').textContent !== 'Copy'")
    assert button.inner_text() in ("Copied", "Selected")
    assert json.dumps(opened.page.locator("#command").inner_text()) == '"sgbench report suites/x.yaml"'
