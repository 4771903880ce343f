"""`sgbench prompts`: the prompt sets that suites may name: list, fetch, show."""

from __future__ import annotations

from collections import Counter
from typing import Annotated

import typer

from sgbench.base.errors import UserError
from sgbench.cli.console import make_progress
from sgbench.cli.options import Json, emit

prompts = typer.Typer(help="Prompt sets: list, fetch, show.", no_args_is_help=True, rich_markup_mode=None)


@prompts.command("list")
def list_prompts(as_json: Json = False) -> None:
    """The packaged sets and those that others publish, and which are on this machine."""
    from sgbench.cells.prompts import PUBLIC, is_there, load_prompts, packaged_names

    entries = [
        {"name": name, "prompts": len(load_prompts(name).prompts), "source": "this package", "there": True}
        for name in packaged_names()
    ]
    entries += [
        {
            "name": public.name,
            "prompts": public.size,
            "source": f"{public.source} ({public.licence})",
            "there": is_there(public.name),
        }
        for public in PUBLIC.values()
    ]
    lines = [
        f"{e['name']:10}  {e['prompts']:5} prompts  {'there' if e['there'] else 'not fetched':11}  {e['source']}"
        for e in entries
    ]
    emit({"prompts": entries}, as_json, *lines)


@prompts.command()
def fetch(
    name: Annotated[str, typer.Argument(metavar="NAME|ADDRESS", help="A published set, or the address of a file.")],
    as_json: Json = False,
) -> None:
    """Download a prompt set; the same command again resumes or does nothing."""
    from sgbench.base.choices import unknown
    from sgbench.cells.prompts import PUBLIC, find_prompts, load_prompts
    from sgbench.files.fetch import fetch as fetch_file
    from sgbench.files.location import HUB, is_remote

    if name not in PUBLIC and not is_remote(name):
        raise unknown(
            "published prompts", name, PUBLIC, "NAME", f"choose one of {', '.join(PUBLIC)}, or give an address"
        )
    place, progress = find_prompts(name), make_progress()
    files = PUBLIC[name].files if name in PUBLIC else ((place.name, name),)
    folder = place if name in PUBLIC else place.parent
    for file, source in files:
        if not (folder / file).is_file():
            path = fetch_file(source.removeprefix(HUB), folder, None, progress)
            if path != folder / file:
                path.replace(folder / file)
    found = load_prompts(name)
    if name in PUBLIC and len(found.prompts) != PUBLIC[name].size:
        for file, _ in files:
            (folder / file).unlink()
        raise UserError(
            f"the file has {len(found.prompts)} prompts, and {name} was published with {PUBLIC[name].size}",
            where=str(place),
            fix="fetch it again; what was fetched is deleted, since it is not that set",
        )
    told = {"path": str(place), "prompts": len(found.prompts), "sha256": found.sha256}
    emit(told, as_json, f"{place}: {found.describe()}")


@prompts.command()
def show(
    name: Annotated[str, typer.Argument(metavar="NAME|FILE", help="A prompt set by name, file or address.")],
    as_json: Json = False,
) -> None:
    """What is in a set: its hash, its groups, and every prompt."""
    from sgbench.cells.prompts import load_prompts

    found = load_prompts(name, "NAME")
    groups = Counter(prompt.group for prompt in found.prompts)
    listed = [{"prompt": p.text, "group": p.group, **p.record} for p in found.prompts]
    lines = [found.describe(), ", ".join(f"{group or 'no group'}: {count}" for group, count in groups.items())]
    lines += [f"{prompt.group:14}  {prompt.text}" for prompt in found.prompts]
    emit({"name": found.name, "sha256": found.sha256, "groups": groups, "prompts": listed}, as_json, *lines)
