"""A page of many cells in headless Chromium: how long it takes to open, to filter and to sort, and its bytes.

    python tests/bench/page_5000.py [--cells 5000]

The cells are made up: seven rules, ten metrics, every setting on a grid. Bounds for 5,000 cells: rendering is part of a
report of 30 seconds, the page opens within 2 seconds, and a change of a filter takes less than 100 ms.
"""

from __future__ import annotations

import argparse
import shutil
import tempfile
import time
from pathlib import Path

import numpy as np
import pandas as pd
from playwright.sync_api import Page, sync_playwright

from sgbench import api
from sgbench.report.page.content import Content
from sgbench.report.page.library import library
from sgbench.report.page.render import render_page
from sgbench.stats.frontier import frontier

SUITE = Path(__file__).parents[2] / "suites" / "fashion-mnist.yaml"
RULES = ("none", "cfg", "icg", "ag", "sg", "cfg+sg", "ag+sg")
ARGUMENTS = ["--no-sandbox", "--disable-gpu", "--disable-background-networking", "--disable-sync", "--no-first-run"]
# Milliseconds from a change until table and chart have been drawn anew.
CHANGE = """async () => {{
  const started = performance.now();
  {act};
  await new Promise(done => requestAnimationFrame(() => setTimeout(done)));
  return performance.now() - started;
}}"""
CHANGES = {
    "hide a rule": "document.querySelector('[data-rule=cfg]').click()",
    "show it again": "document.querySelector('[data-rule=cfg]').click()",
    "search": "const box = document.querySelector('[name=words]'); box.value = 'gamma 0'; "
    "box.dispatchEvent(new Event('input', {bubbles: true}))",
    "empty the search": "const box = document.querySelector('[name=words]'); box.value = ''; "
    "box.dispatchEvent(new Event('input', {bubbles: true}))",
    "frontier only": "const box = document.querySelector('[name=standing]'); box.value = 'frontier'; "
    "box.dispatchEvent(new Event('input', {bubbles: true}))",
    "any standing": "const box = document.querySelector('[name=standing]'); box.value = ''; "
    "box.dispatchEvent(new Event('input', {bubbles: true}))",
    "sort by the score": "document.querySelector('[data-column=fd] button').click()",
    "sort by settings": "document.querySelector('[data-column=text] button').click()",
}


def made_up(cells: int) -> pd.DataFrame:
    """Rows as a suite's scores would give them, without replicates."""
    rng = np.random.default_rng(0)
    number = np.arange(cells)
    steps, cost = 8 + number % 9, rng.uniform(1, 30, cells)
    rows = pd.DataFrame(
        {
            "cell": [f"{n:016x}" for n in number],
            "model": "fashion-routing",
            "guidance": np.array(RULES)[number % len(RULES)],
            "scale": 1 + number // 7 % 20 / 4,
            "gamma_strong": number // 140 % 6 / 10,
            "gamma_weak": 0.5 + number // 840 % 6 / 15,
            "sampler": "euler",
            "steps": steps,
            "samples": 960,
            "gmacs_per_image": cost,
            "seconds_per_image": cost * rng.uniform(0.02, 0.03, cells),
            "device": "one device",
            "checkpoint_sha256": "0" * 64,
        }
    )
    for metric in api.load_suite(SUITE).metrics:
        value = rng.uniform(0.1, 1, cells) + 2 / cost
        rows = rows.assign(**{metric: value, f"{metric}_se": value / 50, f"{metric}_protocol": "0" * 12})
    return rows


def content_of(rows: pd.DataFrame) -> Content:
    """A page of nothing but cells."""
    suite = api.load_suite(SUITE)
    standings = dict.fromkeys(rows["cell"], "dominated")
    for _, own in rows.groupby("guidance"):
        kept = frontier(own["gmacs_per_image"].tolist(), own["fd"].tolist())
        standings |= dict.fromkeys(own["cell"].iloc[kept], "frontier")
    return Content(
        suite=suite,
        rows=rows,
        axes=["gmacs_per_image", "seconds_per_image"],
        metrics=suite.metrics,
        summary=["These cells are made up."],
        missing=[],
        sections=[],
        figures=[],
        strips=[],
        cells={},
        prompts=[],
        standings=standings,
        models=[],
        protocols=[],
        notes=[],
        made_by={},
        command="python tests/bench/page_5000.py",
        files=[],
    )


def time_changes(page: Page) -> None:
    """Print the least and the median of five of each change: other work on the machine only adds."""
    found: dict[str, list[float]] = {name: [] for name in CHANGES}
    for _ in range(5):
        for name, act in CHANGES.items():
            found[name].append(float(page.evaluate(CHANGE.format(act=act))))
    for name, spent in found.items():
        print(f"{name}: {min(spent):.0f} ms, median {np.median(spent):.0f} ms")


def main() -> None:
    """Parse the options, render, open, change, print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--cells", type=int, default=5000)
    rows = made_up(parser.parse_args().cells)
    started = time.perf_counter()
    library()
    print(f"library: {time.perf_counter() - started:.1f} s, once a process")
    started = time.perf_counter()
    html = render_page(content_of(rows)).html
    print(f"rendered {len(rows):,} cells in {time.perf_counter() - started:.1f} s: {len(html) / 1e6:.2f} MB")
    with tempfile.TemporaryDirectory() as folder, sync_playwright() as playwright:
        file = Path(folder) / "index.html"
        file.write_bytes(html)
        browser = playwright.chromium.launch(executable_path=shutil.which("chromium"), args=ARGUMENTS)
        for attempt in range(3):
            page = browser.new_page()
            page.goto(file.as_uri())
            page.wait_for_selector("html[data-ready]")
            ready = page.evaluate("performance.getEntriesByName('ready')[0].startTime")
            print(f"opened in {ready / 1000:.2f} s")
            if attempt == 2:
                time_changes(page)
            page.close()
        browser.close()


if __name__ == "__main__":
    main()
