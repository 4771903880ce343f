"""The page for all readers: by keyboard, on a phone, in the dark, by a screen reader, without motion or scripts."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from sgbench.report.page.content import Content, Figure
from sgbench.report.page.render import render_page

pytestmark = pytest.mark.slow

Fill = Callable[..., Content]
Open = Callable[..., Any]
CONTRAST = """selector => {
  const parse = text => text.match(/[\\d.]+/g).map(Number);
  const light = ([r, g, b]) => [r, g, b].map(v => v / 255)
    .map(v => v <= 0.04045 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4)
    .reduce((sum, v, i) => sum + v * [0.2126, 0.7152, 0.0722][i], 0);
  const element = document.querySelector(selector);
  let ground = element;
  while (ground && parse(getComputedStyle(ground).backgroundColor)[3] === 0) ground = ground.parentElement;
  const style = getComputedStyle(element);
  const colour = element instanceof SVGElement ? style.fill : style.color;
  const [a, b] = [colour, getComputedStyle(ground ?? document.body).backgroundColor]
    .map(text => light(parse(text))).sort((x, y) => y - x);
  return (a + 0.05) / (b + 0.05);
}"""


def test_the_keyboard_alone_reaches_a_cell_and_comes_back(content: Fill, open_page: Open) -> None:
    opened = open_page(content("shapes"))
    page = opened.page
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.textContent") == "Skip to the content"
    assert page.locator(".skip").bounding_box()["y"] >= 0
    where = ""
    for _ in range(200):
        page.keyboard.press("Tab")
        assert page.evaluate("getComputedStyle(document.activeElement).outlineStyle") == "solid"
        where = page.evaluate("document.activeElement.getAttribute('href') ?? ''")
        if where.startswith("#cell-"):
            break
    page.keyboard.press("Enter")
    page.wait_for_selector("dialog[open]")
    assert page.evaluate("document.querySelector('dialog').contains(document.activeElement)")
    for _ in range(12):
        page.keyboard.press("Tab")
        # Behind the last element comes the browser's own bar, never the page under the dialog.
        assert page.evaluate("document.activeElement.closest('dialog') || document.activeElement === document.body")
    page.keyboard.press("Escape")
    page.wait_for_selector("dialog", state="hidden")
    opened.until("location.hash === ''")
    assert page.evaluate("document.activeElement.getAttribute('href')") == where


def test_the_skip_link_skips(content: Fill, open_page: Open) -> None:
    page = open_page(content("shapes")).page
    page.keyboard.press("Tab")
    page.keyboard.press("Enter")
    assert page.evaluate("document.activeElement.id") == "main"
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.closest('main') !== null")


def test_filters_and_sorting_work_by_keyboard(content: Fill, open_page: Open) -> None:
    opened = open_page(content("shapes"))
    page = opened.page
    before = page.locator("#table tbody tr").count()
    page.locator("[data-rule=cfg]").focus()
    page.keyboard.press("Space")
    assert page.locator("[data-rule=cfg]").get_attribute("aria-pressed") == "false"
    assert page.locator("#table tbody tr").count() < before
    assert page.evaluate("document.activeElement.dataset.rule") == "cfg"
    page.locator("th[data-column=composition] button").focus()
    page.keyboard.press("Enter")
    assert page.locator("th[data-column=composition]").get_attribute("aria-sort") == "ascending"
    assert page.evaluate("document.activeElement.parentElement.dataset.column") == "composition"


def test_colours_follow_the_readers_choice_and_can_be_read(content: Fill, open_page: Open) -> None:
    page = open_page(content("shapes"), color_scheme="light").page
    texts = (
        *("h1", ".lead", ".missing li", ".missing h3", "nav a", "#count", "figcaption", "thead button", "tbody a"),
        *("dt", "#rules button", "select", "summary", "code"),
    )
    grounds = []
    for scheme in ("light", "dark"):
        page.emulate_media(color_scheme=scheme)
        grounds.append(page.evaluate("getComputedStyle(document.body).backgroundColor"))
        for selector in texts:
            assert page.evaluate(CONTRAST, selector) >= 4.5, (scheme, selector)
        # The colour of unguided cells is black, and would vanish.
        assert page.evaluate(CONTRAST, "[data-rule=none] path") >= 4.5, scheme
        assert page.evaluate(CONTRAST, "#table td path") >= 4.5, scheme
        colour = page.evaluate("getComputedStyle(document.documentElement).getPropertyValue('--ink').trim()")
        page.wait_for_selector(f"#chart .mark-text text[fill='{colour}']", state="attached")
    assert grounds == ["rgb(255, 255, 255)", "rgb(20, 23, 26)"]
    # Figures are drawn for paper, and stand on it in the dark, too.
    assert page.locator("#figure-1").evaluate("e => getComputedStyle(e).backgroundColor") == "rgb(255, 255, 255)"


@pytest.mark.parametrize("suite", [pytest.param("fashion-mnist", marks=pytest.mark.full), "shapes"])
def test_a_phone_scrolls_one_way_only(content: Fill, open_page: Open, suite: str) -> None:
    filled = content(suite)
    long = "w" * 200
    page = open_page(
        filled._replace(summary=[long], models=[filled.models[0]._replace(name=long)]),
        viewport={"width": 375, "height": 700},
    ).page
    for state in ("closed", "open"):
        assert page.evaluate("document.documentElement.scrollWidth") == 375, state
        page.evaluate("for (const part of document.querySelectorAll('details')) part.open = true")
    page.locator("#table tbody a").first.click()
    page.wait_for_selector("dialog[open]")
    assert page.evaluate("document.querySelector('dialog').scrollWidth <= document.querySelector('dialog').clientWidth")
    page.evaluate("for (const part of document.querySelectorAll('dialog details')) part.open = true")
    assert page.evaluate("document.querySelector('dialog').scrollWidth <= document.querySelector('dialog').clientWidth")


def test_everything_has_a_name_for_a_screen_reader(content: Fill, open_page: Open) -> None:
    page = open_page(content("shapes")).page
    nameless = page.evaluate(
        """() => [...document.querySelectorAll(
            "button, select, input, a, img, svg[role=img], table, section, nav, form:not(:empty), [role=region]")]
          .filter(e => !e.closest("[hidden]"))
          .filter(e => !(e.getAttribute("aria-label") || e.getAttribute("aria-labelledby") || e.getAttribute("alt")
            || e.labels?.length || (e.tagName === "TABLE" ? e.caption?.textContent : e.textContent.trim())))
          .map(e => e.outerHTML.slice(0, 80))"""
    )
    assert nameless == []
    dangling = page.evaluate(
        """() => [...document.querySelectorAll("[aria-labelledby], [aria-describedby]")]
          .flatMap(e => [e.getAttribute("aria-labelledby"), e.getAttribute("aria-describedby")])
          .filter(id => id && !document.getElementById(id) && id !== "detail-title")"""
    )
    assert dangling == []
    for landmark in ("main", "body > header", "body > footer", "nav"):
        assert page.locator(landmark).count() == 1, landmark
    assert page.locator("#plot").get_attribute("role") == "img"
    # Cells of several rules have the same settings, and a list of links shows no columns.
    names = page.evaluate("[...document.querySelectorAll('#table tbody a')].map(a => a.getAttribute('aria-label'))")
    assert len(set(names)) == len(names)
    assert page.locator("#chart-note a").get_attribute("href") == "#cells"


def test_the_chart_says_in_words_what_it_shows(content: Fill, open_page: Open) -> None:
    filled = content("shapes")
    cells = len(filled.rows)
    opened = open_page(filled)
    label = "document.querySelector('#plot').getAttribute('aria-label')"
    wanted = "Scatter plot of composition (higher is better) against GMACs per image"
    assert opened.page.evaluate(label).startswith(f"{wanted}, one mark for each of {cells} cells.")
    best = filled.rows.loc[filled.rows["composition"].idxmax()]
    assert f"{best['composition']:.3f}" in opened.page.evaluate(label)
    opened.page.locator(f"[data-rule='{best['guidance']}']").click()
    left = filled.rows[filled.rows["guidance"] != best["guidance"]]
    opened.until(f"{label}.includes('each of {len(left)} cells')")
    assert f"{left['composition'].max():.3f}" in opened.page.evaluate(label)


def test_nothing_moves_where_motion_is_unwanted(content: Fill, open_page: Open) -> None:
    behaviour = "getComputedStyle(document.documentElement).scrollBehavior"
    assert open_page(content("shapes")).page.evaluate(behaviour) == "smooth"
    page = open_page(content("shapes"), reduced_motion="reduce").page
    assert page.evaluate(behaviour) == "auto"
    moving = page.evaluate(
        """() => [...document.querySelectorAll("*")].map(e => getComputedStyle(e))
          .filter(style => style.animationName !== "none" || parseFloat(style.transitionDuration) > 0).length"""
    )
    assert moving == 0


def test_without_scripts_the_page_says_where_the_numbers_are(content: Fill, browser: Any, tmp_path: Path) -> None:
    file = tmp_path / "index.html"
    file.write_bytes(render_page(content("shapes")).html)
    page = browser.new_page(java_script_enabled=False)
    page.goto(file.as_uri())
    assert page.get_by_text("SG saves 23 %").is_visible()
    assert page.locator("noscript").first.is_visible()
    assert not page.locator("#filters").is_visible()
    assert not page.locator("#table").is_visible()
    assert page.locator("#reproduce").is_visible()
    page.close()


def test_letters_of_figures_are_drawn(content: Fill, open_page: Open) -> None:
    """What figures share stands once in the page and reaches each of them, folded ones when they are opened."""
    plain = content("shapes")
    figures = [Figure(f"f{n}", f"Figure {n}", "", f"model {n // 3}", plain.figures[0].svg) for n in range(6)]
    page = open_page(plain._replace(figures=figures)).page
    page.evaluate("for (const part of document.querySelectorAll('details')) part.open = true")
    for number in range(1, 7):
        page.locator(f"#figure-{number}").scroll_into_view_if_needed()
        box = page.locator(f"#figure-{number} use").bounding_box()
        assert box["width"] > 20, number
