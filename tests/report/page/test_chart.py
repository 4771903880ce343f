"""The chart in headless Chromium: what it shows, what hovering and clicking do, and its axes."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from typing import Any

import pandas as pd
import pytest

from sgbench.report.page.content import Content
from sgbench.stats.estimates import t_quantile

pytestmark = pytest.mark.slow

Fill = Callable[..., Content]
Open = Callable[..., Any]
# The middle of the n-th mark of the chart, after scrolling to it.
MARK = """n => new Promise(done => {
  document.querySelector("#chart").scrollIntoView({block: "center", behavior: "instant"});
  // Scrolling hides the tip, and is told a frame later.
  requestAnimationFrame(() => requestAnimationFrame(() => {
    const box = document.querySelectorAll("#chart .mark-symbol path")[n].getBoundingClientRect();
    done([box.x + box.width / 2, box.y + box.height / 2]);
  }));
})"""
# Texts and marks that reach beyond the chart's own picture.
CUT = """() => {
  const whole = document.querySelector("#chart svg").getBoundingClientRect();
  return [...document.querySelectorAll("#chart svg text, #chart .mark-symbol path")]
    .filter(part => part.getAttribute("opacity") !== "0" && part.textContent + (part.getAttribute("d") ?? ""))
    .map(part => [part.textContent, part.getBoundingClientRect()])
    .filter(([_, box]) => box.left < whole.left - 1 || box.right > whole.right + 1
      || box.top < whole.top - 1 || box.bottom > whole.bottom + 1)
    .map(([text, box]) => `${text} ${box.left} ${box.top}`);
}"""
SCALES = """() => ["x", "y"].map(name => document.querySelector(`#axes [name=log${name.toUpperCase()}]`).checked)"""


def test_hover_shows_settings_and_picture_and_a_click_leads_to_the_cell(content: Fill, open_page: Open) -> None:
    page = open_page(content("shapes")).page
    # Marks are drawn over each other: the last lies open.
    x, y = page.evaluate(MARK, page.locator("#chart .mark-symbol path").count() - 1)
    assert page.locator("#tip").is_hidden()
    page.mouse.move(x, y)
    page.wait_for_selector("#tip:not([hidden])")
    tip = page.locator("#tip")
    assert re.search(r"composition 0\.\d+ ± 0\.\d+", tip.inner_text())
    assert re.search(r"\d+ steps", tip.inner_text())
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


@pytest.mark.parametrize("corner", [(375, 300), pytest.param((1280, 900), marks=pytest.mark.full)])
def test_the_tip_stays_inside_the_window(content: Fill, open_page: Open, corner: tuple[int, int]) -> None:
    width, height = corner
    page = open_page(content("shapes"), viewport={"width": width, "height": height}).page
    for number in range(page.locator("#chart .mark-symbol path").count()):
        page.mouse.move(*page.evaluate(MARK, number))
        page.wait_for_selector("#tip:not([hidden])")
        box = page.locator("#tip").bounding_box()
        assert box["x"] >= 0
        assert box["y"] >= 0
        assert box["x"] + box["width"] <= width
        assert box["y"] + box["height"] <= height


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


@pytest.mark.parametrize("width", [375, pytest.param(1280, marks=pytest.mark.full)])
def test_nothing_of_the_chart_is_cut_off(content: Fill, open_page: Open, width: int) -> None:
    """Neither at first nor when other values, as small as kernel distances, want longer labels."""
    opened = open_page(content("fashion-mnist"), viewport={"width": width, "height": 800})
    page = opened.page
    for metric, title in (("fd", "FD[fashion-cnn] (lower is better)"), ("kd", "KD[fashion-cnn] (lower is better)")):
        page.locator("[name=y]").select_option(metric)
        page.wait_for_selector(f"#chart >> text={title}")
        assert page.evaluate(CUT) == []
        page.get_by_label("Search").fill("cfg w 1.5")
        opened.until("document.querySelectorAll('#chart .mark-symbol path').length < 15")
        assert page.evaluate(CUT) == []
        page.get_by_label("Search").fill("")
        opened.until("document.querySelectorAll('#chart .mark-symbol path').length > 15")


def test_an_axis_is_logarithmic_where_its_figure_is(content: Fill, open_page: Open) -> None:
    """From a factor of five on for costs, of three for what is better when lower; readers choose otherwise."""
    filled = content("shapes")
    costs = [1.0] * (len(filled.rows) - 1)
    narrow = open_page(filled._replace(rows=filled.rows.assign(gmacs_per_image=[*costs, 4.9]))).page
    assert narrow.evaluate(SCALES) == [False, False]
    wide = open_page(filled._replace(rows=filled.rows.assign(gmacs_per_image=[*costs, 5.1]))).page
    assert wide.evaluate(SCALES) == [True, False]
    wide.get_by_label("log compute").uncheck()
    wide.locator("[name=y]").dispatch_event("change")
    assert wide.evaluate(SCALES) == [False, False]


def test_the_line_of_a_rule_is_its_frontier(content: Fill, open_page: Open) -> None:
    filled = content("shapes")
    rows: pd.DataFrame = filled.rows
    own = rows[rows["guidance"] == "cfg"].sort_values(["gmacs_per_image", "composition"], ascending=[True, False])
    best = own["composition"].cummax()
    on = own[(own["composition"] == best) & (best > best.shift(fill_value=-1))]
    opened = open_page(filled)
    for button in opened.page.locator("#rules button:not([data-rule=cfg])").all():
        button.click()
    opened.until(f"document.querySelector('#chart').dataset.marks === '{len(own)}'")
    line = opened.page.locator("#chart .mark-line path").get_attribute("d")
    assert len(re.findall("[ML]", line)) == len(on) >= 2


def test_ties_are_hollow_and_what_is_dominated_is_faint_and_behind(content: Fill, open_page: Open) -> None:
    filled = content("shapes")
    own = filled.rows[filled.rows["guidance"] == "cfg"]
    front = own[own["composition"] == own["composition"].max()]["cell"].iloc[0]
    others = [cell for cell in own["cell"] if cell != front]
    page = open_page(
        filled._replace(rows=own.reset_index(drop=True), standings={**dict.fromkeys(others, "tie"), front: "frontier"})
    ).page
    looks = page.evaluate(
        """() => [...document.querySelectorAll("#chart .mark-symbol path")]
          .map(mark => [mark.getAttribute("fill"), Number(mark.getAttribute("opacity") ?? 1)])"""
    )
    assert ["transparent", 1] in looks
    opacities = [opacity for _, opacity in looks]
    assert opacities == sorted(opacities)


@pytest.mark.full
def test_bars_are_95_percent_intervals(content: Fill, open_page: Open) -> None:
    filled = content("shapes")
    one = filled._replace(rows=filled.rows.iloc[:1].reset_index(drop=True))
    data = json.loads(open_page(one).page.locator("#data").inner_text())
    assert data["metrics"][0]["half"] == t_quantile(20)
    page = open_page(one).page
    assert page.locator("#chart .mark-rule.role-mark line").count() == 1
    bare = one._replace(rows=one.rows.assign(composition_replicates=float("nan")))
    page = open_page(bare).page
    assert page.locator("#chart .mark-rule.role-mark line").count() == 0
    assert "95 %" not in page.locator("#chart-key").inner_text()


@pytest.mark.full
def test_many_cells_are_drawn_on_a_canvas_that_answers_too(content: Fill, open_page: Open) -> None:
    plain = content("shapes")
    rows = pd.concat([plain.rows] * 14, ignore_index=True)
    rows["cell"] = [f"{n:016x}" for n in range(len(rows))]
    page = open_page(plain._replace(rows=rows, cells={}, standings={})).page
    box = page.locator("#chart canvas").bounding_box()
    page.locator("#chart").scroll_into_view_if_needed()
    # A mark is somewhere on the canvas: rows of points are tried until one answers.
    page.evaluate("document.querySelector('#chart').scrollIntoView({block: 'center', behavior: 'instant'})")
    page.wait_for_timeout(100)
    box = page.locator("#chart canvas").bounding_box()
    steps = [(x, y) for y in range(40, int(box["height"]) - 60, 8) for x in range(80, int(box["width"]), 8)]
    found = next((one for one in steps if _tip_at(page, box["x"] + one[0], box["y"] + one[1])), None)
    assert found is not None
    page.mouse.click(box["x"] + found[0], box["y"] + found[1])
    page.wait_for_selector("dialog[open]")


def _tip_at(page: Any, x: float, y: float) -> bool:
    page.mouse.move(x, y)
    return not page.locator("#tip").is_hidden()
