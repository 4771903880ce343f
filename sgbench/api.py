"""The stages as functions: what `sgbench VERB` does, for scripts and notebooks."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sgbench.base.progress import Progress, Silent
from sgbench.suite.schema import Suite

if TYPE_CHECKING:
    from sgbench.compare.comparison import Comparison
    from sgbench.doctor.examine import Diagnosis
    from sgbench.doctor.finding import Finding
    from sgbench.metrics.protocols import Protocol
    from sgbench.plan.pace import Pace
    from sgbench.plan.plan import Plan
    from sgbench.report.build import Report
    from sgbench.report.site.build import Site
    from sgbench.run.engines import Ray
    from sgbench.run.runner import RunSummary
    from sgbench.run.worker import OnShard
    from sgbench.score.export import Exported
    from sgbench.score.external_images import Scored
    from sgbench.score.scorer import ScoreSummary

RESULTS = Path("results")
REPORTS = Path("reports")


def load_suite(path: str | Path, preset: str | None = None, limit: int | None = None) -> Suite:
    """The suite in `path` with `preset` applied, every cell checked; at most `limit` images per cell.

    `path` may also be the name of a suite that comes with sgbench, such as `fashion-mnist`; a file comes first.
    Raises UserError for anything a person got wrong.
    """
    from sgbench.suite.load import load_suite as load
    from sgbench.suite.sweep import expand

    suite = load(path, preset)
    if limit is not None and limit < suite.samples:
        suite = suite.model_copy(update={"samples": limit})
    expand(suite)
    return suite


def measure_pace(suite: Suite, progress: Progress | None = None, device: str = "auto") -> Pace:
    """How fast this machine is with the packaged models of a suite: measured, unless it was within a day."""
    from sgbench.plan.pace import measured_pace
    from sgbench.suite.sweep import expand

    return measured_pace(suite, expand(suite), progress or Silent(), device)


def make_plan(suite: Suite, results: Path = RESULTS, pace: Pace | None = None) -> Plan:
    """What the suite will do and cost, given what `results` already holds and, if given, this machine's pace."""
    from sgbench.plan.plan import make_plan as plan
    from sgbench.results.store import Store
    from sgbench.suite.sweep import expand

    return plan(suite, expand(suite), Store(results, suite.suite), pace)


def run_suite(
    suite: Suite,
    results: Path = RESULTS,
    *,
    device: str = "auto",
    batch: int | None = None,
    progress: Progress | None = None,
    on_shard: OnShard | None = None,
    shard_timeout: float | None = None,
    ray: Ray | None = None,
) -> RunSummary:
    """Make the images of every cell that are not there yet.

    Several processes may call it at once and share the work. Cells that failed are told of in the summary's `failed`,
    and do not keep others from their images. A shard that takes longer than `shard_timeout` seconds (an hour on a GPU
    unless given, any time on a CPU) ends the process with status 1: a device that hangs cannot be interrupted.
    With `ray` the shards are made by workers of Ray, and there it is their processes that end; `on_shard` is not told.
    """
    from sgbench.results.store import Store
    from sgbench.run.device import resolve_device
    from sgbench.run.runner import run_cells
    from sgbench.run.watchdog import default_timeout
    from sgbench.suite.sweep import expand

    cells = expand(suite)
    store = Store(results, suite.suite, (progress or Silent()).say)
    store.prepare()
    store.write_lock(suite, cells)
    store.remove_leftovers()
    if ray is not None:
        from sgbench.run.ray_engine import run_on_ray

        told = progress or Silent()
        return run_on_ray(cells, suite.samples, store, results, ray, told, device, batch, shard_timeout)
    on = resolve_device(device)
    limit = shard_timeout or default_timeout(on)
    return run_cells(cells, suite.samples, store, on, progress or Silent(), batch, on_shard, limit)


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
    from sgbench.results.store import Store
    from sgbench.run.device import resolve_device
    from sgbench.run.timing import time_cells
    from sgbench.suite.sweep import expand

    store = Store(results, suite.suite, (progress or Silent()).say)
    store.prepare()
    return time_cells(expand(suite), rounds, store, resolve_device(device), progress or Silent(), batch)


def score_suite(
    suite: Suite, results: Path = RESULTS, *, device: str = "auto", progress: Progress | None = None
) -> ScoreSummary:
    """Score every cell and write the rows.

    Cells that failed to be drawn are told of in the summary's `failed`. Raises UserError where others have no score.
    """
    from sgbench.cells.identity import cell_id
    from sgbench.results.claims import Claims
    from sgbench.results.store import Store
    from sgbench.run.device import resolve_device
    from sgbench.score.rows import build_rows
    from sgbench.score.scorer import ROWS_CLAIM, refusal, score_cells
    from sgbench.suite.sweep import expand

    cells = expand(suite)
    store = Store(results, suite.suite, (progress or Silent()).say)
    store.prepare()
    try:
        summary = score_cells(cells, suite, store, resolve_device(device), progress or Silent())
    finally:
        # Rows of other cells in the tree (another preset's, say) stay; what was scored before a fault is in them, too.
        own = {cell_id(cell) for cell in cells}
        # One process at a time, from reading to writing: an older view never replaces a newer one.
        with Claims(store.folder).awaited(ROWS_CLAIM):
            others = [cell for cell in store.known_cells() if cell_id(cell) not in own]
            store.write_rows(build_rows([*cells, *others], store))
    refused = refusal(summary)
    if refused is not None:
        raise refused
    return summary


def kept(suite: Suite, results: Path = RESULTS) -> dict[str, int]:
    """What a results tree holds of a suite, as noted there: images and cells with scores, of how many."""
    from sgbench.results.store import Store
    from sgbench.suite.sweep import expand

    cells, store = expand(suite), Store(results, suite.suite)
    return {
        "images_kept": sum(store.noted_images(cell, suite.samples) for cell in cells),
        "images": len(cells) * suite.samples,
        "cells_scored": sum(str(suite.samples) in (store.read_record(cell, "scores") or {}) for cell in cells),
        "cells": len(cells),
    }


def score_images(
    images: Sequence[str | Path],
    reference: str | None,
    metrics: Sequence[str],
    *,
    device: str = "auto",
    limit: int | None = None,
    labels: str | None = None,
    prompts: str | None = None,
    progress: Progress | None = None,
) -> list[Scored]:
    """Score folders, npz files or cells against a reference, or by the prompts that image i shows number i mod P of.

    `labels` is the policy of sets that come without; metrics of prompts need no reference.
    """
    from sgbench.run.device import resolve_device
    from sgbench.score.external_images import score_images as score_sets

    paths = [Path(path) for path in images]
    return score_sets(paths, reference, metrics, resolve_device(device), progress or Silent(), limit, labels, prompts)


def explain(
    images: Sequence[str | Path],
    reference: str | None,
    metrics: Sequence[str],
    *,
    limit: int | None = None,
    labels: str | None = None,
    prompts: str | None = None,
) -> list[Protocol]:
    """The protocols that images would be scored under."""
    from sgbench.score.external_images import explain as explain_images

    return explain_images([Path(path) for path in images], reference, metrics, limit, labels, prompts)


def explain_suite(suite: Suite) -> list[Protocol]:
    """The protocols that a suite is scored under."""
    from sgbench.score.protocols import suite_protocols

    return list(suite_protocols(suite).values())


def export(
    cell: str | Path,
    adm: str | Path | None = None,
    results: Path = RESULTS,
    *,
    geneval: str | Path | None = None,
    limit: int | None = None,
) -> Exported:
    """Write the images of a cell, named by id or folder, as ADM's evaluator reads them, or GenEval's."""
    from sgbench.base.errors import UserError
    from sgbench.results.find_cell import find_cell
    from sgbench.score.cell_images import CellImages
    from sgbench.score.export import export_adm, export_geneval

    if (adm is None) == (geneval is None):
        raise UserError("one layout is written at a time", where="export", fix="give --adm FILE or --geneval FOLDER")
    found, store = find_cell(str(cell), results)
    images = CellImages(found, store, store.images_there(found, limit))
    return export_geneval(images, Path(geneval)) if adm is None else export_adm(images, Path(adm))  # type: ignore[arg-type]


def report_suite(
    suite: Suite,
    results: Path = RESULTS,
    reports: Path = REPORTS,
    *,
    command: str = "",
    progress: Progress | None = None,
) -> Report:
    """Write the report of the suite's rows into `reports`/<suite>."""
    from sgbench.report.build import build_report
    from sgbench.results.store import Store
    from sgbench.suite.sweep import expand

    store = Store(results, suite.suite, (progress or Silent()).say)
    return build_report(suite, expand(suite), store, reports / suite.suite, command, progress or Silent())


def compare_results(
    a: str | Path,
    b: str | Path,
    metrics: Sequence[str] | None = None,
    *,
    results: Path = RESULTS,
    seconds: bool = True,
) -> Comparison:
    """What is better, worse, the same or not comparable in B against A: result folders, rows, cells or documents."""
    from sgbench.compare.comparison import compare as compare_results

    return compare_results(str(a), str(b), metrics, results, seconds)


def publish(reports: Path = REPORTS, output: Path = Path("site"), folders: Sequence[Path] | None = None) -> Site:
    """Gather report folders, all below `reports` unless given, into one with an index, for any static host."""
    from sgbench.report.site.build import find_reports
    from sgbench.report.site.build import publish as gather

    return gather(list(folders) if folders else find_reports(reports), output)


def bench_suite(
    suite: Suite,
    results: Path = RESULTS,
    reports: Path = REPORTS,
    *,
    device: str = "auto",
    batch: int | None = None,
    command: str = "",
    progress: Progress | None = None,
    shard_timeout: float | None = None,
    ray: Ray | None = None,
) -> dict[str, Any]:
    """The chain: run, score, report. Returns what each of them did. With `ray`, scoring is still this process's."""
    from sgbench.metrics.catalogue import check_judges
    from sgbench.results.store import Store
    from sgbench.run.device import resolve_device
    from sgbench.score.background_features import BackgroundFeatures, extractors_for, idle_device
    from sgbench.score.protocols import suite_protocols

    # A reference, weights or an environment that are missing are missed now, not after hours of drawing.
    suite_protocols(suite)
    check_judges(suite.metrics, suite.where)
    asked = device
    if ray is not None and device != "cpu":
        device = "auto"  # It was said of the workers.
    idle = None if ray is not None else idle_device(resolve_device(device))
    if idle is None or not extractors_for(suite, idle):
        ran = run_suite(
            suite, results, device=asked, batch=batch, progress=progress, shard_timeout=shard_timeout, ray=ray
        )
    else:
        with BackgroundFeatures(suite, Store(results, suite.suite), idle) as background:
            ran = run_suite(
                suite,
                results,
                device=device,
                batch=batch,
                progress=progress,
                on_shard=background,
                shard_timeout=shard_timeout,
            )
    scored = score_suite(suite, results, device=device, progress=progress)
    reported = report_suite(suite, results, reports, command=command, progress=progress)
    return {"run": ran.as_dict(), "score": scored.as_dict(), "report": reported.as_dict()}


def examine_results(
    results: Path = RESULTS,
    reports: Path | None = REPORTS,
    suites: Sequence[str] = (),
    *,
    repair: bool = False,
    installation: bool = True,
    progress: Progress | None = None,
    told: Callable[[Finding, bool], None] | None = None,
) -> Diagnosis:
    """Look for damage in results and reports, all suites unless named, and in the installation.

    `told` hears of each finding and whether it was repaired, as they come.
    """
    from sgbench.doctor.examine import examine

    return examine(results, reports, suites, repair=repair, installation=installation, progress=progress, told=told)
