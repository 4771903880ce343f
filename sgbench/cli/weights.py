"""`sgbench weights`: the weights that metrics need, and which are on this machine: list, fetch, verify."""

from typing import Annotated

import typer

from sgbench.base.errors import UserError
from sgbench.cli.options import Json, emit, entry_named, fetch_to, group
from sgbench.files.digest import sha256_file, sha256_of
from sgbench.metrics import weights as catalogue
from sgbench.metrics.instrument import Weights
from sgbench.metrics.judges.catalogue import judge_named
from sgbench.metrics.preference.environments import create_environment, environments_folder
from sgbench.metrics.weights import fetched_path, find, places, require

weights = group("weights", "Weights of the metrics: list, fetch, verify.")
Name = Annotated[str, typer.Argument(metavar="NAME", help="An entry of `sgbench weights list`.")]


@weights.command("list")
def list_weights(as_json: Json = False) -> None:
    """Every file: purpose, source, licence, size, digest, and where it is looked for."""
    entries, lines = [], []
    for entry in catalogue.known().values():
        for file in entry.files:
            path = find(entry.name, file)
            looked_for = [str(p) for p in places(entry.name, file)]
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
                    "looked_for": looked_for,
                }
            )
            size = "size unknown" if file.size is None else f"{file.size / 1e6:.1f} MB"
            expected = f"sha256 {file.sha256[:16]}" if file.sha256 else "no published sha256: recorded when fetched"
            lines.append(f"{entry.name}: {file.file}, {size}, {file.licence}, {expected}")
            lines += [f"  for {entry.used_by}", f"  from {file.source}"]
            lines.append(f"  missing; looked for at {', '.join(looked_for)}" if path is None else f"  at {path}")
    emit({"weights": entries}, as_json, *lines)


@weights.command()
def fetch(
    name: Name,
    offline: Annotated[bool, typer.Option("--offline", help="Use no network; fail if a file is missing.")] = False,
    as_json: Json = False,
) -> None:
    """Download the files of an entry; those already here are verified without using the network."""
    entry = _entry(name)
    for file in entry.files:
        if find(name, file) is not None:
            continue
        if entry.packaged or offline:
            require(name)
        fetch_to(fetched_path(name, file), file.source, file.sha256 if len(file.sha256) == 64 else None)
    found = [{"path": str(path), "sha256": sha256_of(path)} for path in require(name)]
    emit({"files": found}, as_json, *(f"{f['path']}: sha256 {f['sha256']}" for f in found))


@weights.command()
def verify(
    names: Annotated[list[str] | None, typer.Argument(metavar="[NAME...]", help="Entries; all that are here.")] = None,
    as_json: Json = False,
) -> None:
    """Compare files with their expected digests; exit status 1 for a mismatch, or if a named file is missing."""
    there = [e for e in catalogue.known().values() if all(find(e.name, file) for file in e.files)]
    found, lines = [], []
    for entry in [_entry(n) for n in names] if names else there:
        for file, path in zip(entry.files, require(entry.name), strict=True):
            # Hashed again: a recorded digest may be older than the file.
            sha256 = sha256_file(path)
            if not sha256.startswith(file.sha256):
                what = f"the file is damaged (sha256 {sha256[:12]}, expected {file.sha256[:12]})"
                fix = f"delete it and run `sgbench weights fetch {entry.name}`"
                raise UserError(what, where=str(path), fix=fix)
            found.append({"name": entry.name, "file": file.file, "sha256": sha256, "expected": file.sha256 or None})
            verdict = "as expected" if file.sha256 else "no published digest to compare with"
            lines.append(f"{entry.name}: {file.file}, {verdict}, sha256 {sha256}")
    emit({"verified": found}, as_json, *lines)


@weights.command()
def environment(
    name: Annotated[str, typer.Argument(metavar="NAME", help="A scorer that needs one: imagereward, hpsv3.")],
) -> None:
    """Create the environment of a scorer whose package conflicts with sgbench's; uses the package index."""
    print(f"{name}: {create_environment(name, environments_folder())}")
    for hub in judge_named(name).hub:
        print(f"its package also needs {hub} in the hub's cache: run `hf download {hub}` before scoring")


def _entry(name: str) -> Weights:
    return entry_named("weights", name, catalogue.known(), "NAME", "see `sgbench weights list`")
