"""`sgbench` in a process of its own, with shards of 24 images and, where a test wants it, something in the way.

    python worker.py MODE FOLDER ARGUMENTS OF SGBENCH...

plain   nothing
gate    once everything is imported, `ready-PID` is made in FOLDER, and `go` is waited for there
hang    the second shard never ends; `hanging` is made in FOLDER when it begins
slow    every batch takes a quarter of a second longer
batches the same with whole shards, which are of several batches; `drawn` is made in FOLDER when the second one begins
"""

from __future__ import annotations

import os
import sys
import time
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parents[2]))

from sgbench.cli import app
from sgbench.report import build
from sgbench.results import store
from sgbench.run import shards
from sgbench.score import scorer  # noqa: F401 (imported before the gate)
from tests import tiny_model


def main() -> None:
    mode, folder = sys.argv[1], Path(sys.argv[2])
    sys.argv = ["sgbench", *sys.argv[3:]]
    if mode != "batches":
        store.SHARD = shards.SHARD = 24
    tiny_model.install()
    build.FORMATS = ("svg",)
    real, calls = shards.sample, 0

    def sample(*arguments: Any) -> Any:
        nonlocal calls
        calls += 1
        if mode == "hang" and calls == 4:  # the first two cells were warmed up, and one shard was made
            (folder / "hanging").touch()
            time.sleep(3600)
        if mode == "batches" and calls == 3:  # the first cell was warmed up, and one batch was drawn
            (folder / "drawn").touch()
        if mode in ("slow", "batches"):
            time.sleep(0.25)
        return real(*arguments)

    shards.sample = sample
    if mode == "gate":
        (folder / f"ready-{os.getpid()}").touch()
        while not (folder / "go").exists():
            time.sleep(0.005)
    app.main()


if __name__ == "__main__":
    main()
