"""`sgbench reference`: the real images that scores compare with: list, fetch, build."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

import typer

from sgbench.console import make_progress
from sgbench.errors import UserError

reference = typer.Typer(help="References: list, fetch, build.", no_args_is_help=True, rich_markup_mode=None)
Json = Annotated[bool, typer.Option("--json", help="Print one JSON document as the last line.")]


@reference.command("list")
def list_references(as_json: Json = False) -> None:
    """The packaged reference and those that others publish, and which are on this machine."""
    from sgbench.score.reference_catalogue import PACKAGED, PUBLIC

    entries = [
        {"name": n, "side": s, "source": "this package", "note": "", "path": None, "there": True}
        for n, s in PACKAGED.items()
    ]
    entries += [{**p._asdict(), "path": str(p.path), "there": p.path.is_file()} for p in PUBLIC.values()]
    if as_json:
        print(json.dumps({"references": entries}))
        return
    for e in entries:
        state = "packaged" if e["path"] is None else "fetched" if e["there"] else "not fetched"
        print(f"{e['name']:14}  {e['side']} px  {state:11}  {e['source']}" + (f"; {e['note']}" if e["note"] else ""))


@reference.command()
def fetch(
    name: Annotated[str, typer.Argument(metavar="NAME", help="A published reference; see `sgbench reference list`.")],
    as_json: Json = False,
) -> None:
    """Download a published reference batch; the same command again resumes or does nothing."""
    from sgbench.models.digest import sha256_of
    from sgbench.models.fetch import fetch as fetch_file
    from sgbench.score.reference_catalogue import PUBLIC
    from sgbench.suite.suggest import suggestion

    if name not in PUBLIC:
        raise UserError(
            f"there is no published reference {name!r}{suggestion(name, list(PUBLIC))}",
            where="NAME",
            fix="see `sgbench reference list`",
        )
    public = PUBLIC[name]
    path = public.path
    if not path.is_file():
        path = fetch_file(public.source, path.parent, None, make_progress())
    digest = sha256_of(path)
    print(json.dumps({"path": str(path), "sha256": digest}) if as_json else f"{path}: sha256 {digest}")


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
    from sgbench.run.device import resolve_device
    from sgbench.score.reference_build import build_reference

    names = [name.strip() for name in extractors.split(",") if name.strip()]
    made = build_reference(source, out, names, data, resolve_device(device), make_progress())
    parts = sorted(made.card["parts"])
    if as_json:
        print(json.dumps({"reference": str(out), "sha256": made.sha256, "parts": parts}))
        return
    print(f"{out}: {made.name}, {made.card['what']}, {', '.join(parts)}, sha256 {made.sha256}")
