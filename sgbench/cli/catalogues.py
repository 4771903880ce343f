"""What suites can name: `sgbench metrics`, `samplers`, `reference`, `prompts`, `suites`."""

import shlex
from collections import Counter
from pathlib import Path
from typing import Annotated

import typer

from sgbench import api
from sgbench.base.errors import UserError
from sgbench.base.registry import load_installed
from sgbench.cells.prompts import PUBLIC as PUBLIC_PROMPTS
from sgbench.cells.prompts import find_prompts, is_there, load_prompts, packaged_names
from sgbench.cli.console import make_progress
from sgbench.cli.guidance import from_text
from sgbench.cli.options import Device, Json, emit, emit_file, entry_named, fetch_to, group, split_names
from sgbench.files.location import is_remote
from sgbench.metrics.catalogue import METRICS
from sgbench.metrics.references.catalogue import DRAWN as DRAWN_REFERENCES
from sgbench.metrics.references.catalogue import PACKAGED as PACKAGED_REFERENCES
from sgbench.metrics.references.catalogue import PUBLIC as PUBLIC_REFERENCES
from sgbench.samplers.catalogue import SAMPLERS
from sgbench.suite.library import copy_suite, file_of, suite_names
from sgbench.suite.sweep import expand

reference = group("reference", "References: list, fetch, build.")
prompts = group("prompts", "Prompt sets: list, fetch, show.")
suites = group("suites", "The suites that come with sgbench: list, copy.")
metrics = group("metrics", "The metrics: list.")
samplers = group("samplers", "The samplers: list.")


@metrics.command("list")
def list_metrics(as_json: Json = False) -> None:
    """Every metric: key, direction, what it is measured in, and where it comes from."""
    load_installed()
    entries, lines = [], []
    for key, metric in METRICS.items():
        origin = METRICS.origin(key).text
        facts = {"title": metric.title, "better": metric.better, "extractor": metric.extractor}
        entries.append({"key": key, **facts, "variant": metric.variant, "quality": metric.quality, "from": origin})
        better = f"{metric.better} is better" if metric.better else "no direction"
        lines.append(f"{key:18}  {metric.title:32}  {better:16}  {metric.extractor or 'images'}{from_text(origin)}")
    emit({"metrics": entries}, as_json, *lines)


@samplers.command("list")
def list_samplers(as_json: Json = False) -> None:
    """Every sampler: name, clock, settings, source, and where it comes from."""
    load_installed()
    entries, lines = [], []
    for name, kind in SAMPLERS.items():
        origin = SAMPLERS.origin(name).text
        facts = {"title": kind.title, "clock": kind.clock, "takes": list(kind.takes), "source": kind.source}
        entries.append({"name": name, **facts, "from": origin})
        lines.append(f"{name:15}  {kind.clock:8}  {kind.title:36}  {kind.source}{from_text(origin)}")
    emit({"samplers": entries}, as_json, *lines)


@reference.command("list")
def list_references(as_json: Json = False) -> None:
    """The packaged reference, the drawn one and published ones, and which are on this machine."""
    package = {"source": "this package", "path": None, "there": True}
    entries = [{"name": name, "side": side, "note": "", **package} for name, side in PACKAGED_REFERENCES.items()]
    note = "drawn where it is needed; for text-to-image models of shapes and extractors of your own"
    entries += [{"name": name, "side": side, "note": note, **package} for name, side in DRAWN_REFERENCES.items()]
    entries += [{**p._asdict(), "path": str(p.path), "there": p.path.is_file()} for p in PUBLIC_REFERENCES.values()]
    lines = []
    for e in entries:
        state = "packaged" if e["path"] is None else "fetched" if e["there"] else "not fetched"
        note = f"; {e['note']}" if e["note"] else ""
        lines.append(f"{e['name']:14}  {e['side']} px  {state:11}  {e['source']}{note}")
    emit({"references": entries}, as_json, *lines)


@reference.command("fetch")
def fetch_reference(
    name: Annotated[str, typer.Argument(metavar="NAME", help="A published reference; see `sgbench reference list`.")],
    as_json: Json = False,
) -> None:
    """Download a published reference batch; the same command again resumes or does nothing."""
    public = entry_named("published reference", name, PUBLIC_REFERENCES, "NAME", "see `sgbench reference list`")
    if not public.path.is_file():
        fetch_to(public.path, public.source)
    emit_file(public.path, as_json)


@reference.command()
def build(
    source: Annotated[
        str,
        typer.Argument(metavar="FOLDER|NPZ|DATASET", help="Images, an npz in ADM's layout, or a dataset's name."),
    ],
    out: Annotated[Path, typer.Option("--out", help="Folder of the reference.")],
    extractors: Annotated[
        str, typer.Option("--extractors", help="Feature spaces, with commas: names, or FILE.py:NAME for your own.")
    ] = "inception",
    data: Annotated[Path, typer.Option("--data", help="Folder of the dataset's images.")] = Path("data"),
    device: Device = "auto",
    as_json: Json = False,
) -> None:
    """Extract features and moments of real images once, for all later scores."""
    from sgbench.metrics.references.build import build_reference
    from sgbench.run.device import resolve_device

    made = build_reference(source, out, split_names(extractors), data, resolve_device(device), make_progress())
    parts = sorted(made.card["parts"])
    text = f"{out}: {made.name}, {made.card['what']}, {', '.join(parts)}, sha256 {made.sha256}"
    emit({"reference": str(out), "sha256": made.sha256, "parts": parts}, as_json, text)


@prompts.command("list")
def list_prompts(as_json: Json = False) -> None:
    """The packaged sets and published ones, and which are on this machine."""
    found = [(name, len(load_prompts(name).prompts), "this package") for name in packaged_names()]
    found += [(public.name, public.size, f"{public.source} ({public.licence})") for public in PUBLIC_PROMPTS.values()]
    entries, lines = [], []
    for name, size, source in found:
        entries.append({"name": name, "prompts": size, "source": source, "there": is_there(name)})
        state = "there" if is_there(name) else "not fetched"
        lines.append(f"{name:10}  {size:5} prompts  {state:11}  {source}")
    emit({"prompts": entries}, as_json, *lines)


@prompts.command("fetch")
def fetch_prompts(
    name: Annotated[str, typer.Argument(metavar="NAME|ADDRESS", help="A published set, or the address of a file.")],
    as_json: Json = False,
) -> None:
    """Download a prompt set; the same command again resumes or does nothing."""
    fix = f"choose one of {', '.join(PUBLIC_PROMPTS)}, or give an address"
    public = None if is_remote(name) else entry_named("published prompts", name, PUBLIC_PROMPTS, "NAME", fix)
    place = find_prompts(name)
    files = {place: name} if public is None else {place / file: source for file, source in public.files}
    for file, source in files.items():
        if not file.is_file():
            fetch_to(file, source)
    found = load_prompts(name)
    if public is not None and len(found.prompts) != public.size:
        for file in files:
            file.unlink()
        what = f"the file has {len(found.prompts)} prompts, and {name} was published with {public.size}"
        fix = "fetch it again; the downloaded files were deleted, since they are not that set"
        raise UserError(what, where=str(place), fix=fix)
    document = {"path": str(place), "prompts": len(found.prompts), "sha256": found.sha256}
    emit(document, as_json, f"{place}: {found.describe()}")


@prompts.command()
def show(
    name: Annotated[str, typer.Argument(metavar="NAME|FILE", help="A prompt set by name, file or address.")],
    as_json: Json = False,
) -> None:
    """What is in a set: its hash, its groups, and every prompt."""
    found = load_prompts(name, "NAME")
    groups = Counter(prompt.group for prompt in found.prompts)
    listed = [{"prompt": p.text, "group": p.group, **p.record} for p in found.prompts]
    lines = [found.describe(), ", ".join(f"{group or 'no group'}: {count}" for group, count in groups.items())]
    lines += [f"{prompt.group:14}  {prompt.text}" for prompt in found.prompts]
    emit({"name": found.name, "sha256": found.sha256, "groups": groups, "prompts": listed}, as_json, *lines)


@suites.command("list")
def list_suites(as_json: Json = False) -> None:
    """Every suite in a line: its name, how many cells it has, its title."""
    entries = []
    for name in suite_names():
        suite = api.load_suite(file_of(name))
        about = {"title": suite.title, "cells": len(expand(suite)), "samples": suite.samples}
        entries.append({"name": name, **about, "presets": list(suite.presets), "file": str(file_of(name))})
    lines = [f"{e['name']:31}  {e['cells']:3} cells  {e['title']}" for e in entries]
    hint = "`sgbench bench NAME` runs one; `sgbench suites copy NAME` copies its file here for editing."
    emit({"suites": entries}, as_json, *lines, hint)


@suites.command()
def copy(
    name: Annotated[str, typer.Argument(metavar="NAME", help="A suite, as `sgbench suites list` names it.")],
    to: Annotated[Path, typer.Option("--to", metavar="FOLDER", help="The folder to write into.")] = Path(),
    as_json: Json = False,
) -> None:
    """Copy the file of a suite into this folder for editing."""
    file = copy_suite(name, to)
    command = shlex.join(["sgbench", "bench", f"{to}/{file.name}"])
    hint = f"{file}: `{command}` runs it; change the name under `suite` to keep its results apart"
    emit({"name": name, "file": str(file)}, as_json, hint)
