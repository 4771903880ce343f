"""The page in headless Chromium: what a reader does with a mouse, a keyboard, a phone, in the dark."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from typing import Any

import pandas as pd
import pytest

from sgbench.report.page.content import Content
from sgbench.stats.digits import with_error

Fill = Callable[..., Content]
Open = Callable[..., Any]
COUNT = "#count"
LINES = "#table tbody tr"
# The middle of the n-th mark of the chart, after scrolling to it.
MARK = """n => {
  document.querySelector("#chart").scrollIntoView({block: "center", behavior: "instant"});
  const mark = document.querySelectorAll("#chart .mark-symbol path")[n];
  const box = mark.getBoundingClientRect();
  return [box.x + box.width / 2, box.y + box.height / 2];
}"""
CONTRAST = """selector => {
  const parse = text => text.match(/[\\d.]+/g).map(Number);
  const light = ([r, g, b]) => [r, g, b].map(v => v / 255)
    .map(v => v <= 0.04045 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4)
    .reduce((sum, v, i) => sum + v * [0.2126, 0.7152, 0.0722][i], 0);
  const element = document.querySelector(selector);
  let ground = element;
  while (ground && parse(getComputedStyle(ground).backgroundColor)[3] === 0) ground = ground.parentElement;
  const [a, b] = [getComputedStyle(element).color, getComputedStyle(ground ?? document.body).backgroundColor]
    .map(text => light(parse(text))).sort((x, y) => y - x);
  return (a + 0.05) / (b + 0.05);
}"""


def numbers(page: Any, column: str) -> list[str]:
    """The texts of a column, by its name."""
    place = page.evaluate(
        "name => [...document.querySelectorAll('#table thead th')].findIndex(th => th.dataset.column === name)", column
    )
    return [text.strip() for text in page.locator(f"{LINES} > :nth-child({place + 1})").all_inner_texts()]


def test_hover_shows_settings_and_picture_and_a_click_leads_to_the_cell(content: Fill, open_page: Open) -> None:
    page = open_page(content("shapes")).page
    x, y = page.evaluate(MARK, 4)
    assert page.locator("#tip").is_hidden()
    page.mouse.move(x, y)
    page.wait_for_selector("#tip:not([hidden])")
    tip = page.locator("#tip")
    assert re.search(r"composition 0\.\d+ ± 0\.\d+", tip.inner_text())
    assert "GMACs per image" in tip.inner_text()
    assert tip.locator("img").evaluate("image => image.complete && image.naturalWidth") == 320
    page.keyboard.press("Escape")
    assert tip.is_hidden()
    page.mouse.click(x, y)
    page.wait_for_selector("dialog[open]")
    assert tip.is_hidden()
    cell = page.evaluate("location.hash").removeprefix("#cell-")
    assert cell in page.locator("dialog").inner_text()
    page.go_back()
    page.wait_for_selector("dialog", state="hidden")
    assert page.evaluate("location.hash") == ""


def test_the_detail_says_everything_of_a_cell(content: Fill, open_page: Open) -> None:
    filled = content("shapes")
    row = filled.rows.iloc[7]
    page = open_page(filled, f"#cell-{row['cell']}").page
    dialog = page.locator("dialog[open]")
    text = dialog.inner_text()
    for name in ("composition", "composition[colors]"):
        assert with_error(float(row[name]), float(row[f"{name}_se"])) in text
    for told in (row["checkpoint_sha256"], row["commit"], row["device"], row["composition_protocol"]):
        assert str(told) in text
    assert f"sgbench export {row['cell']} --adm {row['cell']}.npz" in text
    assert dialog.locator("img").get_attribute("alt") == f"Images of {row['cell']}"
    assert dialog.get_attribute("aria-labelledby") == "detail-title"
    dialog.get_by_text("What was asked for").click()
    assert dialog.locator("ol li").all_inner_texts() == filled.prompts
    dialog.get_by_role("button", name="Close").click()
    page.wait_for_selector("dialog", state="hidden")
    assert page.evaluate("location.hash") == ""


def test_the_keyboard_alone_reaches_a_cell_and_comes_back(content: Fill, open_page: Open) -> None:
    page = open_page(content("shapes")).page
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.textContent") == "Skip to the content"
    for _ in range(200):
        page.keyboard.press("Tab")
        where = page.evaluate("document.activeElement.getAttribute('href') ?? ''")
        if where.startswith("#cell-"):
            break
    assert page.evaluate("getComputedStyle(document.activeElement).outlineStyle") == "solid"
    page.keyboard.press("Enter")
    page.wait_for_selector("dialog[open]")
    assert page.evaluate("document.querySelector('dialog').contains(document.activeElement)")
    for _ in range(12):
        page.keyboard.press("Tab")
        # Behind the last element comes the browser's own bar, never the page under the dialog.
        assert page.evaluate("document.activeElement.closest('dialog') || document.activeElement === document.body")
    page.keyboard.press("Escape")
    page.wait_for_selector("dialog", state="hidden")
    page.wait_for_function("location.hash === ''")
    assert page.evaluate("document.activeElement.getAttribute('href')") == where


def test_columns_sort_by_number_both_ways_and_missing_values_stay_last(content: Fill, open_page: Open) -> None:
    filled = content("fashion-mnist")
    rows = filled.rows.copy()
    rows.loc[[1, 5], "fd_lite0"] = float("nan")
    page = open_page(filled._replace(rows=rows)).page
    page.get_by_role("button", name="Show all").click()
    page.wait_for_function("document.querySelectorAll('#table tbody tr').length === 51")
    head = page.locator("th[data-column=fd_lite0]")
    values = sorted(rows["fd_lite0"].dropna())
    for order, wanted in (("ascending", values), ("descending", values[::-1])):
        head.get_by_role("button").click()
        assert head.get_attribute("aria-sort") == order
        found = numbers(page, "fd_lite0")
        assert found[-2:] == ["", ""]
        assert [float(text.split()[0]) for text in found[:-2]] == pytest.approx(wanted, abs=6e-4)
    assert page.locator("th[aria-sort=ascending], th[aria-sort=descending]").count() == 1


def test_numbers_read_as_they_do_in_the_other_tables(content: Fill, open_page: Open) -> None:
    filled = content("fashion-mnist")
    page = open_page(filled).page
    page.get_by_role("button", name="Show all").click()
    page.wait_for_function("document.querySelectorAll('#table tbody tr').length === 51")
    for metric in filled.metrics:
        pairs = zip(filled.rows[metric], filled.rows[f"{metric}_se"], strict=True)
        assert numbers(page, metric) == [with_error(value, error) for value, error in pairs]


def test_filters_act_on_chart_table_and_count_together(content: Fill, open_page: Open) -> None:
    filled = content("fashion-mnist")
    rows: pd.DataFrame = filled.rows
    page = open_page(filled).page
    first = rows[rows["model"] == rows["model"].iloc[0]]

    def shows(cells: int) -> None:
        page.wait_for_function(f"document.querySelector('#chart').dataset.marks === '{cells}'")
        assert page.locator(COUNT).inner_text() == f"{cells} of 51 cells shown."
        assert page.locator(LINES).count() == cells
        assert page.locator("#chart .mark-symbol path").count() == cells

    shows(len(first))
    page.locator("[data-rule=cfg]").click()
    assert page.locator("[data-rule=cfg]").get_attribute("aria-pressed") == "false"
    shows(int((first["guidance"] != "cfg").sum()))
    page.locator("[data-rule=cfg]").click()
    page.get_by_label("Sampler").select_option("euler, 14 steps")
    shows(int((first["steps"] == 14).sum()))
    page.get_by_role("button", name="Show all").click()
    shows(51)
    page.get_by_label("Standing").select_option("frontier")
    shows(sum(standing == "frontier" for standing in filled.standings.values()))
    page.get_by_role("button", name="Show all").click()
    page.get_by_label("Search").fill("AG 8 steps")
    assert 0 < page.locator(LINES).count() < 51
    page.get_by_label("Search").fill("no such cell")
    shows(0)


def test_axes_change_and_a_log_axis_is_offered_to_positive_values_alone(content: Fill, open_page: Open) -> None:
    filled = content("fashion-mnist")
    rows = filled.rows.copy()
    rows.loc[0, "kd"] = -0.001
    page = open_page(filled._replace(rows=rows)).page
    page.locator("[name=y]").select_option("recall")
    page.wait_for_selector("#chart >> text=recall (higher is better)")
    assert "recall (higher is better)" in page.locator("#plot").get_attribute("aria-label")
    page.locator("[name=x]").select_option("seconds_per_image")
    page.wait_for_selector("#chart >> text=seconds per image")
    page.get_by_label("log quality").check()
    page.locator("[name=y]").select_option("kd")
    page.wait_for_selector("#chart >> text=KD[fashion-cnn] (lower is better)")
    assert page.get_by_label("log quality").is_disabled()
    assert not page.get_by_label("log quality").is_checked()


def test_the_line_of_a_rule_is_its_frontier(content: Fill, open_page: Open) -> None:
    filled = content("shapes")
    rows: pd.DataFrame = filled.rows
    own = rows[rows["guidance"] == "cfg"].sort_values(["gmacs_per_image", "composition"], ascending=[True, False])
    best = own["composition"].cummax()
    on = own[(own["composition"] == best) & (best > best.shift(fill_value=-1))]
    page = open_page(filled).page
    for button in page.locator("#rules button:not([data-rule=cfg])").all():
        button.click()
    page.wait_for_function(f"document.querySelector('#chart').dataset.marks === '{len(own)}'")
    line = page.locator("#chart .mark-line path").get_attribute("d")
    assert len(re.findall("[ML]", line)) == len(on) >= 2


def test_colours_follow_the_readers_choice_and_can_be_read(content: Fill, open_page: Open) -> None:
    page = open_page(content("shapes"), color_scheme="light").page
    texts = (
        "h1",
        ".lead",
        ".missing li",
        ".missing h3",
        "nav a",
        "#count",
        "figcaption",
        "thead button",
        "tbody a",
        "dt",
    )
    grounds = []
    for scheme in ("light", "dark"):
        page.emulate_media(color_scheme=scheme)
        grounds.append(page.evaluate("getComputedStyle(document.body).backgroundColor"))
        for selector in texts:
            assert page.evaluate(CONTRAST, selector) >= 4.5, (scheme, selector)
        colour = page.evaluate("getComputedStyle(document.documentElement).getPropertyValue('--ink').trim()")
        page.wait_for_selector(f"#chart .mark-text text[fill='{colour}']", state="attached")
    assert grounds == ["rgb(255, 255, 255)", "rgb(20, 23, 26)"]


@pytest.mark.parametrize("suite", ["fashion-mnist", "shapes"])
def test_a_phone_scrolls_one_way_only(content: Fill, open_page: Open, suite: str) -> None:
    filled = content(suite)
    page = open_page(filled, viewport={"width": 375, "height": 700}).page
    for state in ("closed", "open"):
        assert page.evaluate("document.documentElement.scrollWidth") == 375, state
        page.evaluate("for (const part of document.querySelectorAll('details')) part.open = true")
    page.locator("#table tbody a").first.click()
    page.wait_for_selector("dialog[open]")
    assert page.evaluate("document.querySelector('dialog').scrollWidth <= document.querySelector('dialog').clientWidth")


def test_everything_has_a_name_for_a_screen_reader(content: Fill, open_page: Open) -> None:
    page = open_page(content("shapes")).page
    nameless = page.evaluate(
        """() => [...document.querySelectorAll(
            "button, select, input, a, img, table, section, nav, form:not(:empty), [role=region]")]
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
    assert page.locator("main").count() == page.locator("header >> nth=0").count() == 1
    assert page.locator("#plot").get_attribute("role") == "img"
    assert page.locator("#chart-note a").get_attribute("href") == "#cells"


def test_hostile_text_is_shown_and_never_run(content: Fill, open_page: Open) -> None:
    hostile = '</script><script>window.ran = 1</script>"><img src=x onerror="window.ran = 1">'
    plain = content("shapes")
    rows = plain.rows.assign(model=hostile, device=hostile, parameters=hostile)
    cells = {cell: p._replace(caption=hostile, alt=hostile) for cell, p in plain.cells.items()}
    suite = plain.suite.model_copy(update={"title": hostile})
    dirty = plain._replace(
        suite=suite, rows=rows, cells=cells, prompts=[hostile, "javascript:alert(1)"], summary=[hostile]
    )
    page = open_page(dirty).page
    page.locator("#table tbody a").first.click()
    page.wait_for_selector("dialog[open]")
    assert page.title() == hostile
    assert page.locator("h1").inner_text() == hostile
    assert hostile in page.locator("dialog").inner_text()
    assert page.evaluate("window.ran") is None
    assert page.locator("img[src=x]").count() == 0


def test_pictures_beside_the_page_come_when_they_are_wanted(content: Fill, open_page: Open) -> None:
    plain = content("shapes")
    # Text after the picture's end makes it heavy and changes nothing of what is shown.
    cells = {cell: p._replace(data=p.data + b" " * 60_000) for cell, p in plain.cells.items()}
    wanted = cells[str(plain.rows["cell"].iloc[0])]
    opened = open_page(plain._replace(cells=cells), written=[wanted.file])
    assert not [url for url in opened.requests if "gallery" in url]
    opened.page.locator("#table tbody a").first.click()
    opened.page.wait_for_function("document.querySelector('dialog img')?.naturalWidth === 320")
    assert [url.rpartition("/")[2] for url in opened.requests if "gallery" in url] == [wanted.file.rpartition("/")[2]]


def test_many_cells_are_shown_a_hundred_at_a_time(content: Fill, open_page: Open) -> None:
    plain = content("shapes")
    rows = pd.concat([plain.rows] * 14, ignore_index=True)
    rows["cell"] = [f"{n:016x}" for n in range(len(rows))]
    page = open_page(plain._replace(rows=rows, cells={}, standings={})).page
    assert page.locator(LINES).count() == 100
    assert page.locator("#chart canvas").count() == 1
    page.get_by_role("button", name=f"Show 100 more of {len(rows) - 100}").click()
    assert page.locator(LINES).count() == 200
    assert page.evaluate("document.activeElement.getAttribute('href')") == f"#cell-{100:016x}"


def test_one_cell_without_a_score_is_a_page(content: Fill, open_page: Open) -> None:
    plain = content("shapes")
    rows = plain.rows.iloc[:1].copy()
    rows["composition"] = float("nan")
    bare = {"summary": [], "missing": [], "sections": [], "figures": [], "strips": [], "cells": {}, "standings": {}}
    page = open_page(plain._replace(rows=rows, **bare)).page
    assert page.locator(COUNT).inner_text() == "1 of 1 cells shown."
    page.locator("#table tbody a").click()
    page.wait_for_selector("dialog[open]")


def test_work_on_throughput_has_a_table_and_no_chart(content: Fill, open_page: Open) -> None:
    plain = content("shapes")
    page = open_page(plain._replace(metrics=[], standings={}, figures=[], sections=[])).page
    assert page.locator("#chart").count() == 0
    page.get_by_label("Search").fill("CFG+SG")
    assert page.locator(LINES).count() == int((plain.rows["guidance"] == "cfg+sg").sum())


def test_the_command_can_be_copied_or_is_selected(content: Fill, open_page: Open) -> None:
    page = open_page(content("shapes"), permissions=[]).page
    button = page.locator("#reproduce button")
    button.click()
    page.wait_for_selector("#told:not(:empty)", state="attached")
    assert button.inner_text() in ("Copied", "Selected")
    assert json.dumps(page.locator("#command").inner_text()) == '"sgbench report suites/x.yaml"'
