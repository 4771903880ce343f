"""The table of cells and the filters in headless Chromium."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pandas as pd
import pytest

from sgbench.report.page.content import Content
from sgbench.stats.estimates import with_error

pytestmark = pytest.mark.slow

Fill = Callable[..., Content]
Open = Callable[..., Any]
COUNT = "#count"
LINES = "#table tbody tr"


def texts(page: Any, column: str) -> list[str]:
    """The texts of a column, by its name."""
    place = page.evaluate(
        "name => [...document.querySelectorAll('#table thead th')].findIndex(th => th.dataset.column === name)", column
    )
    return [text.strip() for text in page.locator(f"{LINES} > :nth-child({place + 1})").all_text_contents()]


def test_columns_sort_by_number_both_ways_and_missing_values_stay_last(content: Fill, open_page: Open) -> None:
    filled = content("fashion-mnist")
    rows = filled.rows.copy()
    rows.loc[[1, 5], "fd_lite0"] = float("nan")
    page = open_page(filled._replace(rows=rows)).page
    page.get_by_role("button", name="Show all").click()
    page.wait_for_selector(f"{LINES}:nth-child(51)")
    head = page.locator("th[data-column=fd_lite0]")
    values = sorted(rows["fd_lite0"].dropna())
    for order, wanted in (("ascending", values), ("descending", values[::-1])):
        head.get_by_role("button").click()
        assert head.get_attribute("aria-sort") == order
        found = texts(page, "fd_lite0")
        assert found[-2:] == ["", ""]
        assert [float(text.split()[0]) for text in found[:-2]] == pytest.approx(wanted, abs=6e-4)
    assert page.locator("th[aria-sort=ascending], th[aria-sort=descending]").count() == 1


def test_settings_sort_by_their_numbers_and_standings_by_their_rank(content: Fill, open_page: Open) -> None:
    filled = content("shapes")
    rows = filled.rows.iloc[:4].assign(guidance="cfg", scale=[2.0, 10.0, 1.25, 1.5], steps=8).reset_index(drop=True)
    standings = dict(zip(rows["cell"], ("dominated", "tie", "frontier"), strict=False))
    page = open_page(filled._replace(rows=rows, standings=standings)).page
    page.locator("th[data-column=text] button").click()
    assert [text.split(",")[0] for text in texts(page, "text")] == ["w 1.25", "w 1.5", "w 2", "w 10"]
    page.locator("th[data-column=standing] button").click()
    assert texts(page, "standing") == ["frontier", "tie", "dominated", ""]


def test_numbers_read_as_they_do_in_the_other_tables(content: Fill, open_page: Open) -> None:
    filled = content("fashion-mnist")
    page = open_page(filled).page
    page.get_by_role("button", name="Show all").click()
    page.wait_for_selector(f"{LINES}:nth-child(51)")
    for metric in filled.metrics:
        pairs = zip(filled.rows[metric], filled.rows[f"{metric}_se"], strict=True)
        assert texts(page, metric) == [with_error(value, error) for value, error in pairs]
    assert len({text.partition(".")[2].__len__() for text in texts(page, "gmacs_per_image")} - {3, 4}) == 0


def test_filters_act_on_chart_table_and_count_together(content: Fill, open_page: Open) -> None:
    filled = content("fashion-mnist")
    rows: pd.DataFrame = filled.rows
    opened = open_page(filled)
    page = opened.page
    first = rows[rows["model"] == rows["model"].iloc[0]]

    def shows(cells: int) -> None:
        opened.until(f"document.querySelector('#chart').dataset.marks === '{cells}'")
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
    page.get_by_label("Search").fill("AG 6 steps")
    assert 0 < page.locator(LINES).count() < 51
    page.get_by_label("Search").fill("no such cell")
    shows(0)
    assert page.locator(COUNT).get_attribute("aria-live") == "polite"


def test_a_search_finds_beginnings_of_words_and_numbers(content: Fill, open_page: Open) -> None:
    filled = content("shapes")
    pairs = [(2.0, "0.7"), (2.5, "0.7"), (1.5, "0.2"), (12.0, "0.7")]
    rows = filled.rows.iloc[:4].assign(guidance="sg", gamma_strong="0", steps=8, seed=0).reset_index(drop=True)
    rows = rows.assign(scale=[scale for scale, _ in pairs], gamma_weak=[gamma for _, gamma in pairs])
    page = open_page(filled._replace(rows=rows.assign(cell=[f"{n}" * 16 for n in "cdef"]))).page
    for typed, found in {
        "w 2": ["w 2", "w 2.5"],
        "w 2,": ["w 2"],
        "GAMMA 0.2": ["w 1.5"],
        "dddd": ["w 2.5"],
        "[.*": [],
        "sg": ["w 2", "w 2.5", "w 1.5", "w 12"],
    }.items():
        page.get_by_label("Search").fill(typed)
        assert [text.split(",")[0] for text in texts(page, "text")] == found, typed


def test_many_cells_are_shown_a_hundred_at_a_time(content: Fill, open_page: Open) -> None:
    plain = content("shapes")
    rows = pd.concat([plain.rows] * 14, ignore_index=True)
    rows["cell"] = [f"{n:016x}" for n in range(len(rows))]
    page = open_page(plain._replace(rows=rows, cells={}, standings={})).page
    assert page.locator(LINES).count() == 100
    page.get_by_role("button", name=f"Show 100 more of {len(rows) - 100}").click()
    assert page.locator(LINES).count() == 200
    assert page.evaluate("document.activeElement.getAttribute('href')") == f"#cell-{100:016x}"


def test_one_cell_without_a_score_is_a_page(content: Fill, open_page: Open) -> None:
    plain = content("shapes")
    rows = plain.rows.iloc[:1].copy()
    rows["composition"] = float("nan")
    bare = {"summary": [], "missing": [], "sections": [], "figures": [], "strips": [], "cells": {}, "standings": {}}
    page = open_page(plain._replace(rows=rows, **bare)).page
    assert page.locator(COUNT).inner_text() == "1 of 1 cell shown."
    page.locator("#table tbody a").click()
    page.wait_for_selector("dialog[open]")


def test_work_on_throughput_has_a_table_and_no_chart(content: Fill, open_page: Open) -> None:
    plain = content("shapes")
    page = open_page(plain._replace(metrics=[], standings={}, figures=[], sections=[])).page
    assert page.locator("#chart").count() == 0
    page.get_by_label("Search").fill("CFG+SG")
    assert page.locator(LINES).count() == int((plain.rows["guidance"] == "cfg+sg").sum())
