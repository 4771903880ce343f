"""The verbs. Thin: each reads its options, calls the function of the same name and prints what came of it.

Exit status: 0 done, 1 something a person can put right (one sentence on stderr), 2 usage, 130 interrupted.
"""

from __future__ import annotations

import json
import os
import shlex
import sys
from pathlib import Path
from typing import Annotated, Any

import typer

from sgbench import api
from sgbench.console import duration, long_duration, make_progress, restore_terminal
from sgbench.errors import UserError
from sgbench.guidance.cli import guidance as guidance_group
from sgbench.models.cli import models
from sgbench.score.reference_cli import reference as reference_group
from sgbench.score.weights_cli import weights
from sgbench.suite.prompts_cli import prompts as prompts_group
from sgbench.zoo.cli import zoo

INTERRUPTED = 130

app = typer.Typer(
    name="sgbench",
    help="Benchmark guidance on token-sparse diffusion transformers: suite, plan, run, score, report.",
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
)
app.add_typer(zoo, name="zoo")
app.add_typer(models, name="models")
app.add_typer(guidance_group, name="guidance")
app.add_typer(weights, name="weights")
app.add_typer(reference_group, name="reference")
app.add_typer(prompts_group, name="prompts")

SuiteFile = Annotated[Path, typer.Argument(metavar="SUITE", help="A suite file, such as suites/fashion-mnist.yaml.")]
PresetName = Annotated[str | None, typer.Option("--preset", help="A preset of the suite file.")]
Limit = Annotated[int | None, typer.Option("--limit", min=1, help="At most N images per cell, the first of each.")]
Results = Annotated[Path, typer.Option("--results", help="Folder of results.")]
Reports = Annotated[Path, typer.Option("--reports", help="Folder of reports.")]
Device = Annotated[str, typer.Option("--device", help="auto, cpu, cuda or cuda:N.")]
Batch = Annotated[
    int | None,
    typer.Option("--batch", min=1, help="Images per batch, on a CPU in whole groups; does not change them."),
]
Json = Annotated[bool, typer.Option("--json", help="Print one JSON document as the last line.")]


@app.command()
def validate(suite: SuiteFile, preset: PresetName = None, limit: Limit = None, as_json: Json = False) -> None:
    """Check a suite file and every cell of it."""
    from sgbench.suite.sweep import check_samples, expand

    checked = api.load_suite(suite, preset, limit)
    check_samples(checked)
    cells = len(expand(checked))
    _finish(
        {"suite": checked.suite, "valid": True, "cells": cells, "samples": checked.samples},
        as_json,
        f"{suite} is valid: {cells} cells of {checked.samples} images",
    )


@app.command()
def plan(
    suite: SuiteFile,
    preset: PresetName = None,
    limit: Limit = None,
    results: Results = api.RESULTS,
    as_json: Json = False,
) -> None:
    """Say what a suite will do and cost."""
    from sgbench.plan.plan import GPU_BASIS

    made = api.make_plan(api.load_suite(suite, preset, limit), results)
    if not as_json:
        print(f"{'cell':16}  {'GMACs/image':>11}  {'GFLOPs':>7}  {'images':>6}  {'kept':>6}  what")
        for c in made.cells:
            print(
                f"{c.id}  {c.gmacs_per_image:11.3f}  {2 * c.gmacs_per_image:7.3f}  {c.images:6d}  "
                f"{c.images_kept:6d}  {c.cell.describe()}"
            )
    _finish(
        made.as_dict(),
        as_json,
        f"{len(made.cells)} cells, {made.images} images ({made.images_kept} kept), "
        f"{made.gmacs:,.0f} GMACs ({2 * made.gmacs:,.0f} GFLOPs) to do, {made.bytes / 2**20:.0f} MiB of images, "
        f"about {long_duration(made.seconds)} at {made.rate:.0f} GMACs/s ({made.rate_basis}), "
        f"or {made.gpu_hours:.2g} GPU-hours ({GPU_BASIS}, an assumption)",
    )


@app.command()
def run(
    suite: SuiteFile,
    preset: PresetName = None,
    limit: Limit = None,
    results: Results = api.RESULTS,
    device: Device = "auto",
    batch: Batch = None,
    as_json: Json = False,
) -> None:
    """Make the images of every cell; again, to continue after a stop."""
    loaded = api.load_suite(suite, preset, limit)
    done = api.run(loaded, results, device=device, batch=batch, progress=make_progress())
    _finish(
        done._asdict(),
        as_json,
        f"{done.cells} cells complete: {done.images_made} images made, {done.images_kept} kept, "
        f"in {duration(done.seconds)}",
    )


@app.command("time")
def time_again(
    suite: SuiteFile,
    preset: PresetName = None,
    results: Results = api.RESULTS,
    rounds: Annotated[int, typer.Option("--rounds", min=1, help="Batches of every cell.")] = 8,
    device: Device = "auto",
    batch: Batch = None,
    as_json: Json = False,
) -> None:
    """Measure the seconds of every cell again, in turn, on a machine that does nothing else."""
    loaded = api.load_suite(suite, preset)
    spent = api.time(loaded, results, rounds=rounds, device=device, batch=batch, progress=make_progress())
    _finish(
        {"suite": loaded.suite, "rounds": rounds, "seconds": spent},
        as_json,
        f"timed in {duration(spent)}; `sgbench score` and `sgbench report` put it into rows and report",
    )


@app.command()
def score(
    what: Annotated[
        list[Path],
        typer.Argument(metavar="SUITE|IMAGES...", help="A suite file; or folders, npz files and cells of images."),
    ],
    preset: PresetName = None,
    limit: Limit = None,
    results: Results = api.RESULTS,
    device: Device = "auto",
    reference: Annotated[str | None, typer.Option("--reference", help="What IMAGES are compared with.")] = None,
    metrics: Annotated[str | None, typer.Option("--metrics", help="Metrics of IMAGES, with commas.")] = None,
    labels: Annotated[
        str | None,
        typer.Option("--labels", help="Label policy of IMAGES that come without labels: balanced or random."),
    ] = None,
    prompts: Annotated[
        str | None, typer.Option("--prompts", help="What IMAGES show: image i shows prompt i mod their number.")
    ] = None,
    explain: Annotated[bool, typer.Option("--explain", help="Print the protocols; score nothing.")] = False,
    offline: Annotated[bool, typer.Option("--offline", help="Forbid libraries to ask the network.")] = False,
    as_json: Json = False,
) -> None:
    """Score a suite's cells and write rows.csv; or score anybody's images against a reference."""
    if offline:
        os.environ["HF_HUB_OFFLINE"] = "1"
    if what[0].suffix in (".yaml", ".yml"):
        _score_suite(what, preset, limit, results, device, (reference, metrics, prompts), explain, as_json)
        return
    if metrics is None or (reference is None and prompts is None and not _carries_prompts(what)):
        raise UserError(
            "images need something to be compared with, and a way to",
            where=str(what[0]),
            fix="add --reference REF or --prompts FILE, and --metrics a,b (a suite file ends in .yaml)",
        )
    if labels not in (None, "balanced", "random"):
        raise UserError(f"there is no label policy {labels!r}", where="--labels", fix="give balanced or random")
    names = [name.strip() for name in metrics.split(",") if name.strip()]
    if explain:
        _print_protocols(api.explain(what, reference, names, limit=limit, labels=labels, prompts=prompts), as_json)
        return
    progress = make_progress()
    found = api.score_images(
        what, reference, names, device=device, limit=limit, labels=labels, prompts=prompts, progress=progress
    )
    if as_json:
        print(json.dumps({"reference": reference, "sets": [one.as_dict() for one in found]}))
        return
    from sgbench.score.anybody import table

    lines, notes = table(found, names)
    print(lines.to_markdown(index=False))
    print("\n".join(["Errors are one standard error.", *notes, *(p.describe() for p in found[0].protocols.values())]))


def _carries_prompts(what: list[Path]) -> bool:
    """Whether sets of images come with what they were asked for: cells, and GenEval's folders."""
    return all((path / "cell.json").is_file() or any(path.glob("[0-9]*/metadata.jsonl")) for path in what)


def _score_suite(
    what: list[Path],
    preset: str | None,
    limit: int | None,
    results: Path,
    device: str,
    for_images: tuple[str | None, ...],
    explain: bool,
    as_json: bool,
) -> None:
    if len(what) > 1 or any(for_images):
        raise UserError(
            "a suite names its own reference and metrics, and is scored alone",
            where=str(what[0]),
            fix="leave out --reference, --metrics, --prompts and further arguments",
        )
    loaded = api.load_suite(what[0], preset, limit)
    if explain:
        _print_protocols(api.explain_suite(loaded), as_json)
        return
    done = api.score(loaded, results, device=device, progress=make_progress())
    rows = results / loaded.suite / "rows.csv"
    _finish(
        {**done.as_dict(), "rows": str(rows)},
        as_json,
        f"{done.scored} cells scored, {done.cells - done.scored} kept: {rows}",
    )


def _print_protocols(protocols: list[Any], as_json: bool) -> None:
    if as_json:
        print(json.dumps({"protocols": [{"id": p.id, **p._asdict()} for p in protocols]}))
        return
    for protocol in protocols:
        print(f"{protocol.metric}  {protocol.id}")
        for name, value in protocol._asdict().items():
            print(f"  {name.replace('_', ' '):18}  {value if value != '' else '-'}")


@app.command()
def export(
    cell: Annotated[str, typer.Argument(metavar="CELL", help="A cell's id or folder.")],
    adm: Annotated[Path | None, typer.Option("--adm", help="The npz to write, as ADM's evaluator reads it.")] = None,
    geneval: Annotated[
        Path | None, typer.Option("--geneval", help="The folder to write, as GenEval's evaluator reads it.")
    ] = None,
    limit: Limit = None,
    results: Results = api.RESULTS,
    as_json: Json = False,
) -> None:
    """Write a cell's images for other tools."""
    done = api.export(cell, adm, results, geneval=geneval, limit=limit)
    note = ", grey repeated to RGB" if done.repeated else ""
    _finish(done._asdict(), as_json, f"{done.file}: {done.images} images{note}")


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
    loaded = api.load_suite(suite, preset, limit)
    done = api.report(loaded, results, reports, command=_command(), progress=make_progress())
    _finish(done.as_dict(), as_json, "\n".join([*done.sentences, f"report: {done.page}"]))


@app.command()
def bench(
    suite: SuiteFile,
    preset: PresetName = None,
    limit: Limit = None,
    results: Results = api.RESULTS,
    reports: Reports = api.REPORTS,
    device: Device = "auto",
    batch: Batch = None,
    as_json: Json = False,
) -> None:
    """Run, score and report, keeping all that is there already."""
    from sgbench.suite.sweep import check_samples

    loaded = api.load_suite(suite, preset, limit)
    check_samples(loaded)
    progress = make_progress()
    planned = api.make_plan(loaded, results)
    progress.say(
        f"{loaded.suite}: {len(planned.cells)} cells of {loaded.samples} images, {planned.gmacs:,.0f} GMACs to do, "
        f"about {long_duration(planned.seconds)}"
    )
    done = api.bench(loaded, results, reports, device=device, batch=batch, command=_command(), progress=progress)
    made = done["run"]["images_made"]
    scored = done["score"]["scored"]
    first = f"{made} images made, {scored} cells scored"
    if not made and not scored:
        first = "nothing was left to do: every image and score is kept"
    _finish(done, as_json, "\n".join([first, *done["report"]["sentences"], f"report: {done['report']['page']}"]))


def main() -> None:
    """Entry point of the `sgbench` command."""
    try:
        status = app(standalone_mode=False)
    except UserError as error:
        _fail(str(error), 1)
    except (KeyboardInterrupt, typer.Abort):
        status = INTERRUPTED
    except Exception as error:
        if not hasattr(error, "format_message"):  # the parser's own usage errors say what is wrong
            raise
        _fail(f"{error.format_message()} (see `sgbench --help`)", getattr(error, "exit_code", 2))
    if status == INTERRUPTED:  # typer turns Ctrl-C into this status
        _fail("interrupted: all that was finished is kept, and the same command continues", INTERRUPTED)
    sys.exit(status if isinstance(status, int) else 0)


@app.command()
def flops(
    family: Annotated[str, typer.Argument(metavar="FAMILY", help="A model family; see `sgbench models list`.")],
    size: Annotated[str, typer.Option("--size", help="Letter and patch: S/2, B/2, L/2, XL/2.")] = "XL/2",
    resolution: Annotated[int, typer.Option("--resolution", help="Pixels a side.")] = 256,
    route: Annotated[
        str | None, typer.Option("--route", help="First and last routed block, 2-24; several with commas; none.")
    ] = None,
    guidance: Annotated[str, typer.Option("--guidance", help="A guidance rule.")] = "none",
    gamma_strong: Annotated[float, typer.Option("--gamma-strong", help="Sparsity of the strong branch.")] = 0.0,
    gamma_weak: Annotated[float, typer.Option("--gamma-weak", help="Sparsity of the weak branch.")] = 0.0,
    steps: Annotated[int, typer.Option("--steps", min=1, help="Sampler steps.")] = 40,
    as_json: Json = False,
) -> None:
    """Count one denoiser call, one guided step and one image: closed form beside fvcore."""
    from sgbench.cost.flops import Question, flops_card

    card = flops_card(Question(family, size, resolution, route, guidance, gamma_strong, gamma_weak, steps))
    if as_json:
        print(json.dumps(card))
        return
    print(f"{card['family']} {card['size']}, {card['resolution']} pixels, {card['guidance']}")
    print(f"{'':28}  {'macs':>10}  {'fvcore':>10}  {'paper':>10}  {'fvcore':>10}  {'GFLOPs':>10}")
    lines = [(f"call: {c['branch']}, gamma {c['gamma']:g}", c) for c in card["per_call"]]
    lines += [("guided step", card["per_step"])]
    lines += [(f"image ({card['evaluations']} evaluations)", card["per_image"])]
    for what, c in lines:
        counted = c["fvcore"]
        print(
            f"{what:28}  {c['macs']:10.3f}  {counted['macs']:10.3f}  {c['paper']:10.3f}  {counted['paper']:10.3f}  "
            f"{c['gflops']:10.3f}"
        )
    print("GMACs but for the last column; macs: " + card["conventions"]["macs"])
    print("paper: " + card["conventions"]["paper"])
    if card["note"]:
        print(f"Note: {card['note']}.")


def _finish(document: dict[str, Any], as_json: bool, text: str) -> None:
    print(json.dumps(document) if as_json else text, flush=True)


def _fail(message: str, status: int) -> None:
    restore_terminal()
    print(f"sgbench: {message}", file=sys.stderr, flush=True)
    sys.exit(status)


def _command() -> str:
    """This invocation as a reader could repeat it."""
    return shlex.join(["sgbench", *(a for a in sys.argv[1:] if a != "--json")])
