"""Commands on finished results and reports: `sgbench compare`, `cite`, `publish`, `doctor`."""

from pathlib import Path
from typing import Annotated

import typer

from sgbench import api
from sgbench.base.errors import UserError
from sgbench.cli.console import make_progress
from sgbench.cli.options import Json, PresetName, Reports, Results, emit, split_names, write_output
from sgbench.doctor.finding import Finding
from sgbench.suite.sweep import expand

REGRESSION = 3
LISTED = 200
Side = Annotated[
    str, typer.Argument(help="results/<suite>, rows.csv, a cell's folder or id, or a document of `score --json`.")
]
OneSuite = Annotated[
    Path | None, typer.Argument(metavar="[SUITE]", help="A suite file or name; without one, all there is to cite.")
]


def compare(
    a: Side,
    b: Side,
    metrics: Annotated[str | None, typer.Option("--metrics", help="Compare only these metrics, with commas.")] = None,
    seconds: Annotated[bool, typer.Option("--seconds/--no-seconds", help="Compare seconds per image.")] = True,
    everything: Annotated[bool, typer.Option("--all", help="Also list what did not change.")] = False,
    output: Annotated[Path | None, typer.Option("--output", help="Write the table to this Markdown file.")] = None,
    fail_on_regression: Annotated[
        bool,
        typer.Option("--fail-on-regression", help="Exit with 3 if B is worse, lacks a cell or cannot be compared."),
    ] = False,
    results: Results = api.RESULTS,
    as_json: Json = False,
) -> None:
    """Compare B with A: what is better, worse, the same, or not comparable."""
    from sgbench.compare.wording import markdown

    names = None if metrics is None else split_names(metrics)
    found = api.compare_results(a, b, names, results=results, seconds=seconds)
    text = markdown(found, everything)
    if output is not None:
        write_output(output, f"{text}\n")
    failures = found.failures()
    if fail_on_regression:
        text += "\n\n" + "\n".join([f"Fails: {f}." for f in failures] or ["Passes: nothing is worse."])
    emit(found.as_dict(everything), as_json, text)
    if fail_on_regression and failures:
        raise typer.Exit(REGRESSION)


def cite(
    suite: OneSuite = None,
    preset: PresetName = None,
    output: Annotated[Path | None, typer.Option("--output", help="Write to this file.")] = None,
    as_json: Json = False,
) -> None:
    """BibTeX of the methods, models, data, metrics and software that a suite uses."""
    from sgbench.report.citations.citation import bibliography, citations

    if suite is None and preset is not None:
        raise UserError("a preset needs its suite", where="--preset", fix="name the suite file as well")
    loaded = None if suite is None else api.load_suite(suite, preset)
    cells = [] if loaded is None else expand(loaded)
    text, works = bibliography(loaded, cells), citations(loaded, cells)
    name = None if loaded is None else loaded.suite
    document = {"suite": name, "works": works, "bibtex": text, "file": None}
    if output is None:
        emit(document, as_json, text.removesuffix("\n"))
    else:
        write_output(output, text)
        emit({**document, "file": str(output)}, as_json, f"{len(works)} works: {output}")


def publish(
    folders: Annotated[
        list[Path] | None,
        typer.Argument(metavar="[REPORT]...", help="Report folders; all below --reports unless given."),
    ] = None,
    reports: Reports = api.REPORTS,
    output: Annotated[
        Path, typer.Option("--output", help="The folder to write; refused where it holds anything else.")
    ] = Path("site"),
    as_json: Json = False,
) -> None:
    """Gather reports into one folder with an index, for a web page."""
    done = api.publish(reports, output, folders)
    over = "1 report" if done.reports == 1 else f"{done.reports} reports"
    counts = f"{done.files} files ({done.written} new or changed, {done.removed} removed)"
    emit(done.as_dict(), as_json, f"{done.page}: {over}, {counts}")


def doctor(
    results: Results = api.RESULTS,
    reports: Reports = api.REPORTS,
    suite: Annotated[
        list[str] | None,
        typer.Option("--suite", metavar="NAME", help="Only the results of this suite; may be repeated."),
    ] = None,
    repair: Annotated[
        bool, typer.Option("--repair", help="Remove what is damaged and can be made again; build rows anew.")
    ] = False,
    installation: Annotated[
        bool, typer.Option("--installation/--no-installation", help="Check packages, weights, extractors and device.")
    ] = True,
    as_json: Json = False,
) -> None:
    """Check results and installation; exit status 1 where problems are left."""
    counted: dict[str, int] = {}

    def show(found: Finding, repaired: bool) -> None:
        kind = "repaired" if repaired else "problem" if found.problem else "note"
        counted[kind] = counted.get(kind, 0) + 1
        if not as_json and counted[kind] <= LISTED:
            print(f"{kind}: {found.where}: {found.what}; {found.remedy}", flush=True)

    diagnosis = api.examine_results(
        results, reports, suite or (), repair=repair, installation=installation, progress=make_progress(), told=show
    )
    if not as_json:
        for kind, count in counted.items():
            if count > LISTED:
                print(f"{kind}: {count - LISTED:,} more, which --json lists")
        for name, fact in diagnosis.facts.items():
            print(f"{name}: {fact}")
    trees, repaired = len(diagnosis.trees), counted.get("repaired", 0)
    emit(
        diagnosis.as_dict(),
        as_json,
        f"{trees} suite{'' if trees == 1 else 's'} of results checked: "
        f"{diagnosis.left or 'no'} problem{'' if diagnosis.left == 1 else 's'} left, {repaired} repaired",
    )
    if diagnosis.left:
        raise typer.Exit(1)
