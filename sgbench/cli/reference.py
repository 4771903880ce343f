"""`sgbench reference`: the real images that scores compare with: list, fetch, build."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from sgbench.cli.console import make_progress
from sgbench.cli.options import Json, emit

reference = typer.Typer(help="References: list, fetch, build.", no_args_is_help=True, rich_markup_mode=None)


@reference.command("list")
def list_references(as_json: Json = False) -> None:
    """The packaged reference and those that others publish, and which are on this machine."""
    from sgbench.metrics.references.catalogue import PACKAGED, PUBLIC

    entries = [
        {"name": n, "side": s, "source": "this package", "note": "", "path": None, "there": True}
        for n, s in PACKAGED.items()
    ]
    entries += [{**p._asdict(), "path": str(p.path), "there": p.path.is_file()} for p in PUBLIC.values()]
    lines = []
    for e in entries:
        state = "packaged" if e["path"] is None else "fetched" if e["there"] else "not fetched"
        note = f"; {e['note']}" if e["note"] else ""
        lines.append(f"{e['name']:14}  {e['side']} px  {state:11}  {e['source']}{note}")
    emit({"references": entries}, as_json, *lines)


@reference.command()
def fetch(
    name: Annotated[str, typer.Argument(metavar="NAME", help="A published reference; see `sgbench reference list`.")],
    as_json: Json = False,
) -> None:
    """Download a published reference batch; the same command again resumes or does nothing."""
    from sgbench.base.choices import unknown
    from sgbench.files.digest import sha256_of
    from sgbench.files.fetch import fetch as fetch_file
    from sgbench.metrics.references.catalogue import PUBLIC

    if name not in PUBLIC:
        raise unknown("published reference", name, PUBLIC, "NAME", "see `sgbench reference list`")
    public = PUBLIC[name]
    path = public.path
    if not path.is_file():
        path = fetch_file(public.source, path.parent, None, make_progress())
    digest = sha256_of(path)
    emit({"path": str(path), "sha256": digest}, as_json, f"{path}: sha256 {digest}")


@reference.command()
def build(
    source: Annotated[
        str, typer.Argument(metavar="FOLDER|NPZ|DATASET", help="Images, an npz in ADM's layout, or fashion-mnist.")
    ],
    out: Annotated[Path, typer.Option("--out", help="Folder of the reference.")],
    extractors: Annotated[
        str, typer.Option("--extractors", help="Feature spaces, with commas; see `sgbench weights list`.")
    ] = "inception",
    data: Annotated[Path, typer.Option("--data", help="Folder of the dataset's images.")] = Path("data"),
    device: Annotated[str, typer.Option("--device", help="auto, cpu, cuda or cuda:N.")] = "auto",
    as_json: Json = False,
) -> None:
    """Extract features and moments of real images once, for all later scores."""
    from sgbench.metrics.references.build import build_reference
    from sgbench.run.device import resolve_device

    names = [name.strip() for name in extractors.split(",") if name.strip()]
    made = build_reference(source, out, names, data, resolve_device(device), make_progress())
    parts = sorted(made.card["parts"])
    text = f"{out}: {made.name}, {made.card['what']}, {', '.join(parts)}, sha256 {made.sha256}"
    emit({"reference": str(out), "sha256": made.sha256, "parts": parts}, as_json, text)
