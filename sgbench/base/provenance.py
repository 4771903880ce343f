"""What made a result: the version and commit of this package, and whether its files have changes."""

import platform
import subprocess
from functools import cache
from importlib import metadata
from pathlib import Path

PACKAGE = Path(__file__).parents[1]


@cache
def provenance() -> dict[str, str | bool | None]:
    """Package version, commit and dirtiness of the package's own checkout (None outside one), Python, torch."""
    own = _git("rev-parse", "--show-toplevel") == str(PACKAGE.parent)
    commit = _git("rev-parse", "HEAD") if own else None
    changed = _git("status", "--porcelain", "--", str(PACKAGE)) if commit else None
    return {
        "sgbench": metadata.version("sgbench"),
        "commit": commit,
        "dirty": None if changed is None else bool(changed),
        "python": platform.python_version(),
        "torch": metadata.version("torch"),
    }


def _git(*arguments: str) -> str | None:
    command = ["git", "-C", str(PACKAGE), *arguments]
    try:
        done = subprocess.run(command, capture_output=True, text=True, check=True, timeout=10)
    except (OSError, subprocess.SubprocessError):
        return None
    return done.stdout.strip()
