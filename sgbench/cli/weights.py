"""`sgbench weights`: what metrics are measured with, and whether it is on this machine: list, fetch, verify."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from sgbench.base.errors import UserError
from sgbench.cli.console import make_progress
from sgbench.cli.options import Json, emit

weights = typer.Typer(help="Weights of the metrics: list, fetch, verify.", no_args_is_help=True, rich_markup_mode=None)
Name = Annotated[str, typer.Argument(metavar="NAME", help="An entry of `sgbench weights list`.")]


@weights.command("list")
def list_weights(as_json: Json = False) -> None:
    """Every file: what for, source, licence, size, digest, and where it is looked for."""
    from sgbench.metrics.weights import find, known, places

    entries: list[dict[str, Any]] = []
    for entry in known().values():
        for file in entry.files:
            path = find(entry.name, file)
            entries.append(
                {
                    "name": entry.name,
                    "used_by": entry.used_by,
                    "file": file.file,
                    "source": file.source,
                    "licence": file.licence,
                    "bytes": file.size,
                    "sha256": file.sha256,
                    "found": None if path is None else str(path),
                    "looked_for": [str(p) for p in places(entry.name, file)],
                }
            )
    lines = []
    for e in entries:
        size = "size unknown" if e["bytes"] is None else f"{e['bytes'] / 1e6:.1f} MB"
        expected = f"sha256 {e['sha256'][:16]}" if e["sha256"] else "no published sha256: recorded when fetched"
        lines.append(f"{e['name']}: {e['file']}, {size}, {e['licence']}, {expected}")
        lines += [f"  for {e['used_by']}", f"  from {e['source']}"]
        lines.append(
            f"  {'at ' + e['found'] if e['found'] else 'missing; looked for at ' + ', '.join(e['looked_for'])}"
        )
    emit({"weights": entries}, as_json, *lines)


@weights.command()
def fetch(
    name: Name,
    offline: Annotated[bool, typer.Option("--offline", help="Ask no network; fail where a file is missing.")] = False,
    as_json: Json = False,
) -> None:
    """Bring the files of an entry here; those that are there are verified, and no network is asked."""
    from sgbench.files.digest import sha256_of
    from sgbench.files.fetch import fetch as fetch_file
    from sgbench.metrics.weights import fetched_path, find, require

    entry = _entry(name)
    progress = make_progress()
    for file in entry.files:
        if find(name, file) is not None:
            continue
        if entry.packaged or offline:
            require(name)
        target = fetched_path(name, file)
        expected = file.sha256 if len(file.sha256) == 64 else None
        path = fetch_file(file.source.removeprefix("hf://"), target.parent, expected, progress)
        if path != target:
            path.replace(target)
    paths = require(name)
    found = [{"path": str(path), "sha256": sha256_of(path)} for path in paths]
    emit({"files": found}, as_json, "\n".join(f"{f['path']}: sha256 {f['sha256']}" for f in found))


@weights.command()
def verify(
    names: Annotated[list[str] | None, typer.Argument(metavar="[NAME...]", help="Entries; all that are there.")] = None,
    as_json: Json = False,
) -> None:
    """Compare files with their expected digests; exit status 1 for another file, or for a named one that is missing."""
    from sgbench.files.digest import sha256_file
    from sgbench.metrics.weights import find, known, require

    there = [e for e in known().values() if all(find(e.name, file) for file in e.files)]
    found = []
    for entry in [_entry(n) for n in names] if names else there:
        for file, path in zip(entry.files, require(entry.name), strict=True):
            # Read anew: what was noted of a file may be older than the file.
            sha256 = sha256_file(path)
            if not sha256.startswith(file.sha256):
                raise UserError(
                    f"the file is damaged (sha256 {sha256[:12]}, expected {file.sha256[:12]})",
                    where=str(path),
                    fix=f"delete it and run `sgbench weights fetch {entry.name}`",
                )
            found.append({"name": entry.name, "file": file.file, "sha256": sha256, "expected": file.sha256 or None})
    lines = []
    for one in found:
        told = "as expected" if one["expected"] else "no published digest to compare with"
        lines.append(f"{one['name']}: {one['file']}, {told}, sha256 {one['sha256']}")
    emit({"verified": found}, as_json, *lines)


@weights.command()
def environment(
    name: Annotated[str, typer.Argument(metavar="NAME", help="A scorer that needs one: imagereward, hpsv3.")],
) -> None:
    """Make the environment of a scorer whose package cannot live beside sgbench's own; asks the package index."""
    from sgbench.metrics.judges.catalogue import judge_named
    from sgbench.metrics.preference.environments import create_environment, environments_folder

    python = create_environment(name, environments_folder())
    print(f"{name}: {python}")
    for hub in judge_named(name).hub:
        print(f"its package also reads {hub} from the hub's cache: run `hf download {hub}` before scoring")


def _entry(name: str) -> Any:
    from sgbench.base.choices import unknown
    from sgbench.metrics.weights import known

    if name not in known():
        raise unknown("weights", name, known(), "NAME", "see `sgbench weights list`")
    return known()[name]
