"""HPSv2 by the package hpsv2 itself, for whoever wants its own numbers; `hpsv2` and `hpsv2.1` give them natively.

The package cannot run as it is installed (it lacks a file and imports a drawing module), changes warnings of the whole
process and reads its checkpoint for every image. So it runs in a process of its own, put right there and nowhere else.
"""

from __future__ import annotations

import importlib.util
import sys
from collections.abc import Sequence
from pathlib import Path

from sgbench.base.errors import UserError
from sgbench.metrics.preference.worker import WorkerScorer

PACKAGES = ("hpsv2", "clint", "args")


def load(name: str, paths: Sequence[Path], device: str) -> WorkerScorer:
    """The scorer from its checkpoint, under `state_dict` as it is published.

    A second path is a JSON of open_clip's kind for a ViT-H-14 of another size. Raises UserError where the package, or
    one of the two it imports, is not installed.
    """
    missing = [package for package in PACKAGES if importlib.util.find_spec(package) is None]
    if missing:
        raise UserError(
            f"{' and '.join(missing)} {'is' if len(missing) == 1 else 'are'} not installed",
            where=name,
            fix="run `pip install --no-deps hpsv2 clint args` (with its dependencies hpsv2 would bring pytest 7.2 and "
            "protobuf 3, and none of them is needed to score), or use the scorer hpsv2.1",
        )
    return WorkerScorer(name, Path(sys.executable), paths, device)
