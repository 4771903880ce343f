"""The commands. Each reads its options, calls a function of `api.py` or of the package and prints the outcome.

Exit status: 0 done, 1 an error the user can fix (one sentence on stderr), 2 usage, 3 `compare --fail-on-regression`
found a regression, 130 stopped by SIGINT, 143 by SIGTERM.
"""

import shlex
import sys
from pathlib import Path
from typing import Annotated

import typer

from sgbench import api
from sgbench.base.atomic import WriteError, refusal
from sgbench.base.errors import UserError
from sgbench.base.signals import Interruption, install
from sgbench.cli import options
from sgbench.cli.catalogues import metrics, prompts, reference, samplers, suites
from sgbench.cli.check import check
from sgbench.cli.console import duration, long_duration, make_progress, neutralise_output, restore_terminal
from sgbench.cli.guidance import flops, guidance
from sgbench.cli.images import export, nearest, score
from sgbench.cli.models import models
from sgbench.cli.new import new
from sgbench.cli.options import Device, Json, Limit, PresetName, Reports, Results, SuiteFile, emit, interruptible
from sgbench.cli.results import cite, compare, doctor, publish
from sgbench.cli.weights import weights
from sgbench.cli.zoo import zoo
from sgbench.plan.plan import GPU_BASIS, LOAD_SECONDS, Plan, PlannedCell, forecast
from sgbench.results.faults import Failure
from sgbench.run.engines import Engine, chosen_engine, require_ray_for
from sgbench.suite.sweep import check_samples, expand

INTERRUPTED = 130
PLAN_LINES = 1000
COUNTED_WHEN_RUN = "counted when run"
CONTINUES = "all that was finished is kept, and the same command continues"

app = typer.Typer(
    name="sgbench",
    help="Benchmark guidance on token-sparse diffusion transformers: suite, plan, run, score, report.",
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
)
for group in (zoo, models, guidance, samplers, metrics, weights, reference, prompts, suites):
    app.add_typer(group)


@app.command()
def validate(suite: SuiteFile, preset: PresetName = None, limit: Limit = None, as_json: Json = False) -> None:
    """Check a suite file and every cell of it."""
    checked = api.load_suite(suite, preset, limit)
    check_samples(checked)
    cells = len(expand(checked))
    document = {"suite": checked.suite, "valid": True, "cells": cells, "samples": checked.samples}
    emit(document, as_json, f"{suite} is valid: {cells} cells of {checked.samples} images")


@app.command()
def plan(
    suite: SuiteFile,
    preset: PresetName = None,
    limit: Limit = None,
    results: Results = api.RESULTS,
    engine: options.EngineName = Engine.LOCAL,
    gpus: options.Gpus = None,
    as_json: Json = False,
) -> None:
    """Say what a suite will do and cost."""
    require_ray_for("--gpus", gpus, engine)
    loaded = api.load_suite(suite, preset, limit)
    # Ray's workers on this machine use its cores; those on GPUs are forecast for one kind of GPU.
    pace = None if gpus else api.measure_pace(loaded, make_progress(), "cpu" if engine is Engine.RAY else "auto")
    made = api.make_plan(loaded, results, pace)
    if not as_json:
        print(f"{'cell':16}  {'GMACs/image':>11}  {'GFLOPs':>7}  {'images':>6}  {'kept':>6}  what")
        # A longer table is for programs, which read --json.
        for c in made.cells[:PLAN_LINES]:
            known = c.gmacs_per_image
            cost = f"{known:11.3f}  {2 * known:7.3f}" if known is not None else f"{COUNTED_WHEN_RUN:>20}"
            print(f"{c.id}  {cost}  {c.images:6d}  {c.images_kept:6d}  {c.cell.describe()}{_at_least(c)}")
        if len(made.cells) > PLAN_LINES:
            print(f"and {len(made.cells) - PLAN_LINES:,} more cells, which --json lists")
    document, text = made.as_dict(), ""
    if engine is Engine.RAY:
        wall = forecast(made, gpus)
        document["ray"] = wall.as_dict()
        text = (
            f"\non {wall.workers} workers of one {wall.kind} each: {long_duration(wall.at_least)} to "
            f"{long_duration(wall.at_most)} for {wall.shards:,} shards ({wall.basis}; loading a model takes "
            f"{LOAD_SECONDS:.0f} s, an assumption; scoring not counted)"
        )
    emit(
        document,
        as_json,
        f"{len(made.cells)} cells, {made.images} images ({made.images_kept} kept), "
        f"{made.gmacs:,.0f} GMACs ({2 * made.gmacs:,.0f} GFLOPs) to do, {made.bytes / 2**20:.0f} MiB of images, "
        f"about {long_duration(made.seconds)} at {made.rate:.0f} GMACs/s ({made.rate_basis}), "
        f"or {made.gpu_hours:.2g} GPU-hours ({GPU_BASIS}, an assumption){_beside(made)}{text}",
    )


@app.command()
def run(
    suite: SuiteFile,
    preset: PresetName = None,
    limit: Limit = None,
    results: Results = api.RESULTS,
    device: Device = "auto",
    batch: options.Batch = None,
    shard_timeout: options.ShardTimeout = None,
    engine: options.EngineName = Engine.LOCAL,
    address: options.Address = None,
    threads_per_worker: options.ThreadsPerWorker = None,
    as_json: Json = False,
) -> None:
    """Generate the images of every cell, or continue after a stop."""
    ray = chosen_engine(engine, address, threads_per_worker)
    loaded = api.load_suite(suite, preset, limit)
    with interruptible(loaded, results, as_json):
        done = api.run_suite(
            loaded, results, device=device, batch=batch, progress=make_progress(), shard_timeout=shard_timeout, ray=ray
        )
    complete = f"{done.cells - len(done.failed)} cells complete"
    images = f"{done.images_made} images made, {done.images_kept} kept"
    emit(done.as_dict(), as_json, f"{complete}: {images}, in {duration(done.seconds)}")
    options.end_with(done.failed)


@app.command("time")
def time_again(
    suite: SuiteFile,
    preset: PresetName = None,
    results: Results = api.RESULTS,
    rounds: Annotated[int, typer.Option("--rounds", min=1, help="Batches of every cell.")] = 8,
    device: Device = "auto",
    batch: options.Batch = None,
    as_json: Json = False,
) -> None:
    """Measure the seconds of every cell again, in turn, on an otherwise idle machine."""
    loaded = api.load_suite(suite, preset)
    with interruptible(loaded, results, as_json):
        spent = api.time(loaded, results, rounds=rounds, device=device, batch=batch, progress=make_progress())
    text = f"timed in {duration(spent)}; `sgbench score` and `sgbench report` put the times into rows and report"
    emit({"suite": loaded.suite, "rounds": rounds, "seconds": spent}, as_json, text)


for command in (score, export, flops, check, nearest, compare, cite, publish, doctor, new):
    app.command()(command)


@app.command()
def report(
    suite: SuiteFile,
    preset: PresetName = None,
    limit: Limit = None,
    results: Results = api.RESULTS,
    reports: Reports = api.REPORTS,
    as_json: Json = False,
) -> None:
    """Write tables, plots, galleries and the page."""
    loaded = api.load_suite(suite, preset, limit, recorded=results)
    with interruptible(loaded, results, as_json):
        done = api.report_suite(loaded, results, reports, command=_bench_command(), progress=make_progress())
    emit(done.as_dict(), as_json, *done.missing, *done.sentences, f"report: {done.page}")


@app.command()
def bench(
    suite: SuiteFile,
    preset: PresetName = None,
    limit: Limit = None,
    results: Results = api.RESULTS,
    reports: Reports = api.REPORTS,
    device: Device = "auto",
    batch: options.Batch = None,
    shard_timeout: options.ShardTimeout = None,
    engine: options.EngineName = Engine.LOCAL,
    address: options.Address = None,
    threads_per_worker: options.ThreadsPerWorker = None,
    as_json: Json = False,
) -> None:
    """Run, score and report, keeping all that is already there."""
    ray = chosen_engine(engine, address, threads_per_worker)
    loaded = api.load_suite(suite, preset, limit)
    check_samples(loaded)
    progress = make_progress()
    planned = api.make_plan(loaded, results, api.measure_pace(loaded, progress, device) if ray is None else None)
    progress.say(
        f"{loaded.suite}: {len(planned.cells)} cells of {loaded.samples} images, {planned.gmacs:,.0f} GMACs to do, "
        f"about {long_duration(planned.seconds)} ({planned.rate_basis}). "
        "Ctrl-C stops it and keeps what is finished; the same command continues."
    )
    with interruptible(loaded, results, as_json):
        done = api.bench_suite(
            loaded,
            results,
            reports,
            device=device,
            batch=batch,
            command=_bench_command(),
            progress=progress,
            shard_timeout=shard_timeout,
            ray=ray,
        )
    made, scored, report = done["run"]["images_made"], done["score"]["scored"], done["report"]
    first = f"{made} images made, {scored} cells scored"
    if not made and not scored:
        first = "nothing was left to do: every image and score is kept"
    emit(done, as_json, first, *report["missing"], *report["sentences"], f"report: {report['page']}")
    options.end_with([Failure(**failure) for failure in done["run"]["failed"]])


def main() -> None:
    """Entry point of the `sgbench` command."""
    install()
    neutralise_output()
    try:
        status = app(standalone_mode=False)
    except UserError as error:
        _fail(str(error), 1)
    except WriteError as error:
        fix = "make room or fix the permissions, then repeat the command"
        _fail(str(refusal(error, "the file cannot be written", where=Path(error.filename), fix=fix)), 1)
    except Interruption as stop:
        _fail(f"{stop}: {stop.kept}{CONTINUES}", stop.status)
    except typer.Abort:
        status = INTERRUPTED
    except Exception as error:
        if not hasattr(error, "format_message"):  # only the parser's own usage errors have it
            raise
        _fail(
            f"{error.format_message().replace('Value error, ', '')} (see `sgbench --help`)",
            getattr(error, "exit_code", 2),
        )
    if status == INTERRUPTED:
        _fail(f"interrupted: {CONTINUES}", INTERRUPTED)
    sys.exit(status if isinstance(status, int) else 0)


def _beside(plan: Plan) -> str:
    """That the sums lack cells of a user's model whose cost is not known yet."""
    return f"; {plan.uncounted} cells are {COUNTED_WHEN_RUN} and in none of these sums" if plan.uncounted else ""


def _at_least(cell: PlannedCell) -> str:
    """What a cell costs at least, where its images decide when guidance stops."""
    least = cell.least_gmacs_per_image
    known = least is None or least == cell.gmacs_per_image
    return "" if known else f" (from {least:.3f} GMACs/image: guidance stops early)"


def _fail(message: str, status: int) -> None:
    restore_terminal()
    print(f"sgbench: {message}", file=sys.stderr, flush=True)
    sys.exit(status)


def _bench_command() -> str:
    """The command line that makes all that a report is based on: `bench` with this invocation's suite and options."""
    return shlex.join(["sgbench", "bench", *(a for a in sys.argv[2:] if a != "--json")])
