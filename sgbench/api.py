"""The stages as functions: what `sgbench VERB` does, for scripts and notebooks."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sgbench.base.errors import UserError
from sgbench.base.progress import Progress, Silent
from sgbench.cells.identity import cell_id
from sgbench.models import catalogue
from sgbench.models.own import MODELS
from sgbench.plan.pace import Pace
from sgbench.plan.pace import measure_pace as measure_pace
from sgbench.plan.plan import Plan, plan_cells
from sgbench.results.claims import Claims
from sgbench.results.find_cell import find_cell
from sgbench.results.own_code import recall_suite
from sgbench.results.store import Store
from sgbench.run.engines import Ray
from sgbench.suite.load import load_suite as read_suite
from sgbench.suite.own_code import Own
from sgbench.suite.schema import Suite
from sgbench.suite.sweep import expand

if TYPE_CHECKING:
    from sgbench.compare.comparison import Comparison
    from sgbench.conformance.law import Verdict
    from sgbench.doctor.examine import Diagnosis
    from sgbench.doctor.finding import Finding
    from sgbench.report.build import Report
    from sgbench.report.site.build import Site
    from sgbench.run.runner import RunSummary
    from sgbench.run.worker import OnShard
    from sgbench.score.export import Exported
    from sgbench.score.external_images import Scored
    from sgbench.score.scorer import ScoreSummary

RESULTS = Path("results")
REPORTS = Path("reports")


def load_suite(
    path: str | Path, preset: str | None = None, limit: int | None = None, *, recorded: Path | None = None
) -> Suite:
    """The suite in `path` with `preset` applied, every cell checked; at most `limit` images per cell.

    `path` may also be the name of a suite that comes with sgbench, such as `fashion-mnist`; a file comes first. Files
    of the user's own that it names are loaded; with `recorded`, a folder of results, none is run, and what they hold is
    known as the results recorded it. Raises UserError for anything in it that the user has to fix.
    """
    suite = read_suite(path, preset, None if recorded is None else lambda name: recall_suite(recorded, name))
    if limit is not None and limit < suite.samples:
        suite = suite.model_copy(update={"samples": limit})
    expand(suite)
    return suite


def with_model(suite: Suite, model: object) -> Suite:
    """The suite with a network of this process in place of its models: a torch.nn.Module with a card, or an Adapter.

    It is copied as it is now; its weights, its code and its card are part of the ids of cells. Entries of the sweep
    that name models of their own keep them. Raises UserError for anything else than a network with a sound card.
    """
    from sgbench.networks.custom import bring_live

    brought = bring_live(model)
    changed = suite.with_model(brought.model, Own(MODELS.what, brought.name, brought.reference, "", brought.sha256))
    expand(changed)
    return changed


def make_plan(suite: Suite, results: Path = RESULTS, pace: Pace | None = None) -> Plan:
    """What the suite will do and cost, given what `results` already holds and, if given, this machine's pace."""
    return plan_cells(suite, expand(suite), Store(results, suite.suite), pace)


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

    Several processes may call it at once and share the work. Cells that failed are in the summary's `failed`, and do
    not keep others from their images. A shard that takes longer than `shard_timeout` seconds (an hour on a GPU unless
    given, any time on a CPU) ends the process with status 1: a device that hangs cannot be interrupted.
    With `ray` the shards are made by workers of Ray, whose processes end instead; `on_shard` is not called.
    """
    if ray is not None:
        _check_not_live(suite)
    from sgbench.run.device import resolve_device
    from sgbench.run.ray_engine import run_on_ray
    from sgbench.run.runner import run_cells

    cells, store, progress = expand(suite), _store(suite, results, progress), progress or Silent()
    store.write_lock(suite, cells)
    store.remove_leftovers()
    if ray is not None:
        return run_on_ray(cells, suite.samples, store, ray, progress, device, batch, shard_timeout, suite.own)
    on = resolve_device(device)
    return run_cells(cells, suite.samples, store, on, progress, batch, on_shard, shard_timeout)


def _check_not_live(suite: Suite) -> None:
    for cell in expand(suite):
        if catalogue.entry(cell.model).main.kind == "live":
            raise UserError(
                f"{cell.model} is a network of this process, which workers of Ray do not have",
                where="ray",
                fix="leave ray out, or save its weights and give the suite `custom: FILE.py:NAME` with them",
            )


def time(
    suite: Suite,
    results: Path = RESULTS,
    *,
    rounds: int = 8,
    device: str = "auto",
    batch: int | None = None,
    progress: Progress | None = None,
) -> float:
    """Measure the seconds of every cell again, in turn; `score_suite` then puts them into the rows."""
    from sgbench.run.device import resolve_device
    from sgbench.run.runner import time_cells

    store = _store(suite, results, progress)
    return time_cells(expand(suite), rounds, store, resolve_device(device), progress or Silent(), batch)


def _store(suite: Suite, results: Path, progress: Progress | None) -> Store:
    """The suite's part of the results tree, ready to be written to."""
    store = Store(results, suite.suite, (progress or Silent()).say)
    store.prepare()
    return store


def score_suite(
    suite: Suite, results: Path = RESULTS, *, device: str = "auto", progress: Progress | None = None
) -> ScoreSummary:
    """Score every cell and write the rows.

    Cells without images because their run failed are in the summary's `failed`. Raises UserError where others have no
    score.
    """
    from sgbench.run.device import resolve_device
    from sgbench.score.rows import build_rows
    from sgbench.score.scorer import ROWS_CLAIM, refusal, score_cells

    cells, store = expand(suite), _store(suite, results, progress)
    store.keep_own_code(suite)
    try:
        summary = score_cells(cells, suite, store, resolve_device(device), progress or Silent())
    finally:
        # Rows of other cells in the tree (of another preset, say) stay, as do scores from before an error.
        own = {cell_id(cell) for cell in cells}
        # One process at a time, from reading to writing, so that rows never go back to an older state.
        with Claims(store.folder).awaited(ROWS_CLAIM):
            others = [cell for cell in store.known_cells() if cell_id(cell) not in own]
            store.write_rows(build_rows([*cells, *others], store))
    refused = refusal(summary)
    if refused is not None:
        raise refused
    return summary


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
    """Score folders, npz files or cells against a reference, or by P prompts; image i is of prompt i mod P.

    `labels` is the label policy of sets without labels; prompt-based metrics need no reference.
    """
    from sgbench.run.device import resolve_device
    from sgbench.score.external_images import score_images as score_sets

    paths = [Path(path) for path in images]
    return score_sets(paths, reference, metrics, resolve_device(device), progress or Silent(), limit, labels, prompts)


def export(
    cell: str | Path,
    adm: str | Path | None = None,
    results: Path = RESULTS,
    *,
    geneval: str | Path | None = None,
    limit: int | None = None,
) -> Exported:
    """Write the images of a cell, named by id or folder, in the layout of ADM's evaluator or of GenEval's."""
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
    from sgbench.compare.comparison import compare

    return compare(str(a), str(b), metrics, results, seconds)


def publish(reports: Path = REPORTS, output: Path = Path("site"), folders: Sequence[Path] | None = None) -> Site:
    """Gather report folders, all below `reports` unless given, into one with an index, for any static host."""
    from sgbench.report.site import build

    return build.publish(list(folders) if folders else build.find_reports(reports), output)


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
    model: object = None,
) -> dict[str, Any]:
    """Run, score and report. Returns what each of them did. With `ray`, this process still does the scoring.

    `model` is a network of this process that takes the place of the suite's models; see `with_model`.
    """
    from sgbench.metrics.catalogue import check_judges
    from sgbench.run.device import resolve_device
    from sgbench.score.background_features import BackgroundFeatures, extractors_for, idle_device
    from sgbench.score.protocols import suite_protocols

    if model is not None:
        suite = with_model(suite, model)
    # A missing reference, weight file or environment is found now, not after hours of sampling.
    suite_protocols(suite)
    check_judges(suite.metrics, suite.where)
    idle = None if ray is not None else idle_device(resolve_device(device))
    with ExitStack() as stack:
        beside = None
        if idle is not None and extractors_for(suite, idle):
            beside = stack.enter_context(BackgroundFeatures(suite, Store(results, suite.suite), idle))
        ran = run_suite(
            suite,
            results,
            device=device,
            batch=batch,
            progress=progress,
            on_shard=beside,
            shard_timeout=shard_timeout,
            ray=ray,
        )
    if ray is not None and device != "cpu":
        device = "auto"  # The device that was given is that of the workers.
    scored = score_suite(suite, results, device=device, progress=progress)
    reported = report_suite(suite, results, reports, command=command, progress=progress)
    return {"run": ran.as_dict(), "score": scored.as_dict(), "report": reported.as_dict()}


def check(thing: str, folder: str | Path = Path(), *, weights: str | None = None) -> list[Verdict]:
    """Hold `FILE.py:NAME`, relative to `folder`, or a thing by its name against the laws of its kind.

    `weights` are those of a model of a user's own, random unless given.
    """
    from sgbench.conformance.check import subjects

    return [verdict for subject in subjects(thing, Path(folder), weights) for verdict in subject.verdicts()]


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
    """Look for damage in results and reports, of all suites unless named, and in the installation.

    `told` is called with each finding, and whether it was repaired, as they come.
    """
    from sgbench.doctor.examine import examine

    return examine(results, reports, suites, repair=repair, installation=installation, progress=progress, told=told)
