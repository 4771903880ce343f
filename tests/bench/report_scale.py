"""The report of a large suite: seconds of writing it, and of opening and filtering its page in a browser.

    python tests/bench/report_scale.py [--cells 5000] [--keep FOLDER]

Cells are real ones of the embedded model, with costs by the closed form; scores are drawn around a smooth function of
the settings, with replicates that share their noise as common random numbers do. Aim: 5,000 cells in less than 30
seconds on two cores, a page that opens in less than 2, and less than 100 ms from a change of a filter until table and
chart have been drawn anew. Other work on the machine only adds: the least of several times is what the page takes.
"""

from __future__ import annotations

import argparse
import io
import resource
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
import yaml
from PIL import Image
from playwright.sync_api import CDPSession, Page, sync_playwright

from sgbench import api
from sgbench.base.provenance import provenance
from sgbench.cells.cell import Cell
from sgbench.cells.closed_form import image_macs
from sgbench.results.store import Store
from sgbench.score.protocols import suite_protocols
from sgbench.score.rows import build_rows
from sgbench.suite.sweep import expand

GROUPS = 20
METRICS = ["fd", "fd_lite0", "precision", "recall"]
LEVEL = {"fd": 0.3, "fd_lite0": 130.0, "precision": 0.8, "recall": 0.6}
ARGUMENTS = ["--no-sandbox", "--disable-gpu", "--disable-background-networking", "--disable-sync", "--no-first-run"]
# Milliseconds from a change until table and chart have been drawn anew.
CHANGE = """async () => {{
  const started = performance.now();
  {act};
  await new Promise(done => requestAnimationFrame(() => setTimeout(done)));
  return performance.now() - started;
}}"""
SET = (
    "const box = document.querySelector('[name={}]'); box.value = '{}'; "
    "box.dispatchEvent(new Event('input', {{bubbles: true}}))"
)
CLICK = "document.querySelector('{}').click()"
CHANGES = {
    "hide a rule": CLICK.format("[data-rule=sg]"),
    "show it again": CLICK.format("[data-rule=sg]"),
    "search": SET.format("words", "gamma 0"),
    "empty the search": SET.format("words", ""),
    "frontier only": SET.format("standing", "frontier"),
    "any standing": SET.format("standing", ""),
    "sort by the score": CLICK.format("[data-column=fd] button"),
    "sort by settings": CLICK.format("[data-column=text] button"),
}
OPENED, ROUNDS = 3, 7


def main() -> None:
    """Parse the options, write a results tree, report it as a user would, open the page."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--cells", type=int, default=5000)
    parser.add_argument("--keep", type=Path, help="write here instead of a temporary folder")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as temporary:
        folder = options.keep or Path(temporary)
        suite = write_results(folder, options.cells)
        before, started = resource.getrusage(resource.RUSAGE_CHILDREN), time.perf_counter()
        command = ["report", str(suite), "--results", str(folder / "results"), "--reports", str(folder / "reports")]
        subprocess.run([sys.executable, "-m", "sgbench", *command], check=True, stdout=subprocess.DEVNULL)
        spent, after = time.perf_counter() - started, resource.getrusage(resource.RUSAGE_CHILDREN)
        busy = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
        page = folder / "reports" / "large" / "index.html"
        size = page.stat().st_size / 1e6
        print(f"{options.cells:,} cells: report in {spent:.1f} s ({busy:.1f} s of CPU), page of {size:.2f} MB")
        time_page(page)


def time_page(file: Path) -> None:
    """Print how long a page takes to open, and to answer each change."""
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=shutil.which("chromium"), args=ARGUMENTS)
        for attempt in range(OPENED):
            page = browser.new_page()
            page.goto(file.as_uri())
            page.wait_for_selector("html[data-ready]")
            ready = float(page.evaluate("performance.getEntriesByName('ready')[0].startTime"))
            print(f"opened in {ready / 1000:.2f} s")
            if attempt == OPENED - 1:
                time_changes(page)
            page.close()
        browser.close()


def time_changes(page: Page) -> None:
    """Print the least and the median time of each change, and the least CPU time of the page's thread."""
    session = page.context.new_cdp_session(page)
    session.send("Performance.setTimeDomain", {"timeDomain": "threadTicks"})
    session.send("Performance.enable")
    found: dict[str, list[tuple[float, float]]] = {name: [] for name in CHANGES}
    for _ in range(ROUNDS):
        for name, act in CHANGES.items():
            before = _busy(session)
            spent = float(page.evaluate(CHANGE.format(act=act)))
            found[name].append((spent, _busy(session) - before))
    for name, pairs in found.items():
        spent, busy = np.array(pairs).T
        print(f"{name}: {spent.min():.0f} ms, median {np.median(spent):.0f} ms; {busy.min():.0f} ms of CPU")


def _busy(session: CDPSession) -> float:
    """Milliseconds of CPU that the page's thread has spent on tasks."""
    metrics = {metric["name"]: metric["value"] for metric in session.send("Performance.getMetrics")["metrics"]}
    return 1000 * float(metrics["TaskDuration"])


def write_results(folder: Path, cells: int) -> Path:
    """A suite of about so many cells below `folder`, with the records that a report reads; its file."""
    path = folder / "large.yaml"
    folder.mkdir(parents=True, exist_ok=True)
    path.write_text(yaml.safe_dump(large_suite(cells)))
    suite = api.load_suite(path)
    protocols = suite_protocols(suite)
    store = Store(folder / "results", suite.suite)
    generator = np.random.Generator(np.random.PCG64(0))
    shared = {metric: generator.standard_normal(GROUPS) for metric in METRICS}
    picture = _picture(generator)
    expanded = expand(suite)
    for cell in expanded:
        store.write_cell(cell)
        store.write_record(cell, "cost", _cost(cell, suite.samples))
        scores = {m: {**_score(cell, m, shared[m], generator), "protocol_id": protocols[m].id} for m in METRICS}
        store.write_record(cell, "scores", {str(suite.samples): scores})
        store.write_picture(cell, "gallery", picture)
    store.write_rows(build_rows(expanded, store))
    store.write_protocols({p.id: p._asdict() for p in protocols.values()})
    return path


def large_suite(cells: int) -> dict[str, Any]:
    """CFG, SG and CFG+SG over scales and gammas, with as many step counts as it takes."""
    scales = [round(1.2 + 0.4 * n, 1) for n in range(5)]
    strong = [round(0.05 * n, 2) for n in range(10)]
    weak = [round(0.5 + 0.05 * n, 2) for n in range(10)]
    each = len(scales) * (1 + 2 * len(strong) * len(weak))
    steps = [6 + n for n in range(max(1, round(cells / each)))]
    pair = {"gamma_strong": strong, "gamma_weak": weak}
    return {
        "suite": "large",
        "title": "A large suite",
        "seed": 0,
        "samples": 480,
        "labels": "balanced",
        "dtype": "float32",
        "reference": "fashion-mnist",
        "metrics": METRICS,
        "model": "fashion-routing",
        "sampler": {"name": "euler", "steps": 10},
        "sweep": [
            {"guidance": "none", "gamma_strong": [0, 0.5], "steps": steps},
            {"guidance": "cfg", "scale": scales, "steps": steps},
            {"guidance": ["sg", "cfg+sg"], "scale": scales, "steps": steps, **pair},
        ],
    }


def _cost(cell: Cell, samples: int) -> dict[str, Any]:
    macs = image_macs(cell)
    seconds = macs.macs / 4e10
    spread = {"median": seconds, "lower_quartile": 0.98 * seconds, "upper_quartile": 1.03 * seconds}
    return {
        "macs_per_image": macs.macs,
        "paper_per_image": macs.paper,
        "steps": cell.sampler.steps,
        "images": samples,
        "measured": {
            "seconds_per_image": spread,
            "images_per_second": 1 / seconds,
            "batch": 24,
            "peak_bytes": None,
            "joules_per_image": None,
            "device": {"type": "cpu", "name": "closed form", "threads": 2},
            "other_devices": 0,
        },
        "made_by": provenance(),
    }


def _score(cell: Cell, metric: str, shared: Any, generator: np.random.Generator) -> dict[str, Any]:
    g = cell.guidance
    gap = float(g.gamma_weak) - float(g.gamma_strong)
    bowl = 1 + 0.3 * (g.scale - 1.6) ** 2 + 0.5 * (gap - 0.5) ** 2 + 2 / cell.sampler.steps
    value = LEVEL[metric] * (bowl if metric.startswith("fd") else 1 / bowl) * (1 + 0.01 * generator.standard_normal())
    # Of a jackknife error of 5 %, three quarters are common to all cells.
    error = 0.05 * value
    noise = np.sqrt(0.75) * shared + np.sqrt(0.25) * generator.standard_normal(GROUPS)
    replicates = value + error * noise / np.sqrt((GROUPS - 1) / GROUPS * ((noise - noise.mean()) ** 2).sum())
    found = {"value": value, "standard_error": error, "corrected": value, "replicates": replicates.tolist()}
    return {**found, "floor": 0.1 * LEVEL[metric], "floor_sd": None} if metric.startswith("fd") else found


def _picture(generator: np.random.Generator) -> bytes:
    buffer = io.BytesIO()
    Image.fromarray(generator.integers(0, 255, (64, 320), dtype=np.uint8)).save(buffer, "PNG")
    return buffer.getvalue()


if __name__ == "__main__":
    main()
