"""What has no place in a results tree: temporary names left over, links that lead out of it, files of others."""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import partial
from pathlib import Path

from sgbench.base.atomic import TEMPORARY, is_left_over
from sgbench.doctor.finding import Finding, note
from sgbench.results.store import Store

# Paths below the suite's folder, as the store lays them out.
OURS = re.compile(
    r"suite\.lock\.yaml|rows\.(csv|parquet)(\.sha256)?|protocols\.json|\.claims|\.writable"
    r"|cells/[0-9a-f]{16}/((cell|cost|scores|failure)\.json|(gallery|nearest)\.png"
    r"|shards/\d{5,}\.(npy|json)|features/[^/]+/\d{5,}\.(npz|json))"
)


def check_stray(store: Store) -> Iterator[Finding]:
    """Findings of all that lies below a suite's folder and is not the store's."""
    root = store.folder.resolve()
    for path in sorted(_files_and_links(store.folder)):
        if path.is_symlink() and not path.resolve().is_relative_to(root):
            what = f"it is a link that leads out of the results, to {path.resolve()}"
            yield Finding(path, what, "put the files themselves there, or remove the link")
        elif path.name.endswith(".tmp") and path.name.startswith("."):
            yield _temporary(path, store)
        elif not OURS.fullmatch(path.relative_to(store.folder).as_posix()):
            yield note(path, "it is none of sgbench's files", "nothing here reads it")


def _files_and_links(folder: Path) -> Iterator[Path]:
    """Files and links below a folder; links are not followed."""
    for path in folder.iterdir():
        if path.is_dir() and not path.is_symlink():
            yield from _files_and_links(path)
        else:
            yield path


def _temporary(path: Path, store: Store) -> Finding:
    if is_left_over(path) or not TEMPORARY.fullmatch(path.name):
        what = "a writer that was stopped left it half written under a temporary name"
        return Finding(path, what, "--repair removes it", partial(store.discard, path))
    return note(path, "it is being written, or was a moment ago", "look again once nothing is at work here")
