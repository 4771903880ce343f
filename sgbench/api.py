"""The stages as functions: what `sgbench VERB` does, for scripts and notebooks."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from sgbench.progress import Progress, Silent
from sgbench.suite.schema import Suite

if TYPE_CHECKING:
    from sgbench.plan.plan import Plan
    from sgbench.report.build import Report
    from sgbench.run.runner import RunSummary
    from sgbench.score.scorer import ScoreSummary

RESULTS = Path("results")
REPORTS = Path("reports")


def load_suite(path: str | Path, preset: str | None = None, limit: int | None = None) -> Suite:
    """The suite in `path` with `preset` applied, every cell checked; at most `limit` images per cell.

    Raises UserError for anything a person got wrong.
    """
    from sgbench.suite.load import load_suite as load
    from sgbench.suite.sweep import expand

    suite = load(path, preset)
    if limit is not None and limit < suite.samples:
        suite = suite.model_copy(update={"samples": limit})
    expand(suite)
    return suite


def make_plan(suite: Suite, results: Path = RESULTS) -> Plan:
    """What the suite will do and cost, given what `results` already holds."""
    from sgbench.plan.plan import make_plan as plan
    from sgbench.run.store import Store
    from sgbench.suite.sweep import expand

    return plan(suite, expand(suite), Store(results, suite.suite))


def run(
    suite: Suite,
    results: Path = RESULTS,
    *,
    device: str = "auto",
    batch: int | None = None,
    progress: Progress | None = None,
) -> RunSummary:
    """Make the images of every cell that are not there yet."""
    from sgbench.run.device import resolve_device
    from sgbench.run.runner import run_cells
    from sgbench.run.store import Store
    from sgbench.suite.sweep import expand

    cells = expand(suite)
    store = Store(results, suite.suite)
    store.prepare()
    store.write_lock(suite, cells)
    return run_cells(cells, suite.samples, store, resolve_device(device), progress or Silent(), batch)


def time(
    suite: Suite,
    results: Path = RESULTS,
    *,
    rounds: int = 8,
    device: str = "auto",
    batch: int | None = None,
    progress: Progress | None = None,
) -> float:
    """Measure the seconds of every cell again, in turn; `score` then puts them into the rows."""
    from sgbench.run.device import resolve_device
    from sgbench.run.store import Store
    from sgbench.run.timing import time_cells
    from sgbench.suite.sweep import expand

    store = Store(results, suite.suite)
    store.prepare()
    return time_cells(expand(suite), rounds, store, resolve_device(device), progress or Silent(), batch)


def score(
    suite: Suite, results: Path = RESULTS, *, device: str = "auto", progress: Progress | None = None
) -> ScoreSummary:
    """Score every cell and write the rows."""
    from sgbench.run.device import resolve_device
    from sgbench.run.store import Store
    from sgbench.score.rows import build_rows
    from sgbench.score.scorer import score_cells
    from sgbench.suite.sweep import expand

    cells = expand(suite)
    store = Store(results, suite.suite)
    store.prepare()
    summary = score_cells(cells, suite, store, resolve_device(device), progress or Silent())
    # Rows of other cells in the tree (another preset's, say) stay.
    others = [cell for cell in store.known_cells() if cell not in set(cells)]
    store.write_rows(build_rows([*cells, *others], store))
    return summary


def report(
    suite: Suite,
    results: Path = RESULTS,
    reports: Path = REPORTS,
    *,
    command: str = "",
    progress: Progress | None = None,
) -> Report:
    """Write the report of the suite's rows into `reports`/<suite>."""
    from sgbench.report.build import build_report
    from sgbench.run.store import Store
    from sgbench.suite.sweep import expand

    store = Store(results, suite.suite)
    return build_report(suite, expand(suite), store, reports / suite.suite, command, progress or Silent())


def bench(
    suite: Suite,
    results: Path = RESULTS,
    reports: Path = REPORTS,
    *,
    device: str = "auto",
    batch: int | None = None,
    command: str = "",
    progress: Progress | None = None,
) -> dict[str, Any]:
    """The chain: run, score, report. Returns what each of them did."""
    ran = run(suite, results, device=device, batch=batch, progress=progress)
    scored = score(suite, results, device=device, progress=progress)
    reported = report(suite, results, reports, command=command, progress=progress)
    return {"run": ran._asdict(), "score": scored._asdict(), "report": reported.as_dict()}
