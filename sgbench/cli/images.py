"""Images scored, written for other tools, and compared with training images: `sgbench score`, `export`, `nearest`."""

import os
from pathlib import Path
from typing import Annotated, Any

import typer

from sgbench import api
from sgbench.base.errors import UserError
from sgbench.base.registry import load_installed
from sgbench.base.user_code import is_reference
from sgbench.cli.console import make_progress
from sgbench.cli.options import Device, Json, Limit, PresetName, Results, emit, end_with, interruptible, split_names
from sgbench.metrics.catalogue import METRICS
from sgbench.metrics.metric import Metric
from sgbench.results.find_cell import find_cell
from sgbench.suite.library import is_name


def score(
    what: Annotated[
        list[Path],
        typer.Argument(metavar="SUITE|IMAGES...", help="A suite; or folders, npz files and cells of images."),
    ],
    preset: PresetName = None,
    limit: Limit = None,
    results: Results = api.RESULTS,
    device: Device = "auto",
    reference: Annotated[str | None, typer.Option("--reference", help="What IMAGES are compared with.")] = None,
    metrics: Annotated[str | None, typer.Option("--metrics", help="Metrics of IMAGES: a,b,FILE.py:METRIC.")] = None,
    labels: Annotated[
        str | None,
        typer.Option("--labels", help="Label policy of IMAGES that come without labels: balanced or random."),
    ] = None,
    prompts: Annotated[
        str | None, typer.Option("--prompts", help="What IMAGES show: image i shows prompt i mod their number.")
    ] = None,
    explain: Annotated[bool, typer.Option("--explain", help="Print the protocols; score nothing.")] = False,
    offline: Annotated[bool, typer.Option("--offline", help="Forbid libraries to use the network.")] = False,
    as_json: Json = False,
) -> None:
    """Score a suite's cells and write rows.csv; or score images from other tools against a reference."""
    if offline:
        os.environ["HF_HUB_OFFLINE"] = "1"
    # A path to images that exists takes precedence over a suite of that name.
    if what[0].suffix in (".yaml", ".yml") or (is_name(what[0]) and not what[0].exists()):
        if len(what) > 1 or reference or metrics or prompts:
            raise UserError(
                "a suite names its own reference and metrics, and is scored alone",
                where=str(what[0]),
                fix="leave out --reference, --metrics, --prompts and further arguments",
            )
        suite = api.load_suite(what[0], preset, limit)
        if explain:
            from sgbench.score.protocols import suite_protocols

            _print_protocols(list(suite_protocols(suite).values()), as_json)
            return
        with interruptible(suite, results, as_json):
            done = api.score_suite(suite, results, device=device, progress=make_progress())
        rows = results / suite.suite / "rows.csv"
        kept = done.cells - done.scored - len(done.failed)
        emit({**done.as_dict(), "rows": str(rows)}, as_json, f"{done.scored} cells scored, {kept} kept: {rows}")
        end_with(done.failed)
        return
    names = _names(metrics)
    lacking = reference is None and prompts is None and not _carries_prompts(what)
    if metrics is None or (lacking and not all(name in METRICS and _stands_alone(METRICS[name]) for name in names)):
        raise UserError(
            "scores of images need metrics, and a reference or prompts",
            where=str(what[0]),
            fix="add --reference REF or --prompts FILE, and --metrics a,b (a suite is a .yaml file, or a name that "
            "`sgbench suites list` shows)",
        )
    if labels not in (None, "balanced", "random"):
        raise UserError(f"there is no label policy {labels!r}", where="--labels", fix="give balanced or random")
    from sgbench.score import external_images

    if explain:
        _print_protocols(external_images.explain(what, reference, names, limit, labels, prompts), as_json)
        return
    progress = make_progress()
    found = api.score_images(
        what, reference, names, device=device, limit=limit, labels=labels, prompts=prompts, progress=progress
    )
    lines, notes = external_images.table(found, names)
    described = (protocol.describe() for protocol in found[0].protocols.values())
    text = (lines.to_markdown(index=False), "Errors are one standard error.", *notes, *described)
    emit({"reference": reference, "sets": [one.as_dict() for one in found]}, as_json, *text)


def _names(metrics: str | None) -> list[str]:
    """The metrics of `--metrics`; FILE.py:METRIC stands for a user's own."""
    load_installed()
    listed = split_names(metrics or "")
    return [METRICS.bring(name, Path(), "--metrics") if is_reference(name) else name for name in listed]


def _stands_alone(metric: Metric) -> bool:
    """Whether a metric needs neither real images nor prompts."""
    return not metric.text and not metric.against_reference


def _carries_prompts(what: list[Path]) -> bool:
    """Whether sets of images come with their prompts: cells, and folders in GenEval's layout."""
    from sgbench.images.prompted import is_layout

    return all((path / "cell.json").is_file() or is_layout(path) for path in what)


def _print_protocols(protocols: list[Any], as_json: bool) -> None:
    lines = []
    for protocol in protocols:
        lines.append(f"{protocol.metric}  {protocol.id}")
        for name, value in protocol._asdict().items():
            lines.append(f"  {name.replace('_', ' '):18}  {value if value != '' else '-'}")
    emit({"protocols": [{"id": p.id, **p._asdict()} for p in protocols]}, as_json, *lines)


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
    emit(done._asdict(), as_json, f"{done.file}: {done.images} images{note}")


def nearest(
    cell: Annotated[str, typer.Argument(metavar="CELL", help="A cell's id or folder.")],
    images: Annotated[int, typer.Option("--images", min=1, max=100, help="Generated images, the first ones.")] = 10,
    neighbours: Annotated[int, typer.Option("--neighbours", min=1, max=20, help="Real images shown next to each.")] = 5,
    data: Annotated[
        Path | None,
        typer.Option("--data", help="Folder of the training images (data), or what the reference was built of."),
    ] = None,
    results: Results = api.RESULTS,
    device: Device = "auto",
    as_json: Json = False,
) -> None:
    """Find the training images nearest to a cell's images; the next report shows them."""
    from sgbench.run.device import resolve_device
    from sgbench.score.nearest_gallery import find_nearest

    found, store = find_cell(cell, results)
    done = find_nearest(found, store, images, neighbours, data, resolve_device(device), make_progress())
    if not as_json:
        for number, line in enumerate(done.distances):
            print(f"image {number:3d}  nearest at " + "  ".join(f"{distance:.3f}" for distance in line))
    emit(done._asdict(), as_json, f"{done.describe()}\n{done.file}")
