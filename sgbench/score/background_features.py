"""Extract features during a run, on a device that the run leaves idle, so that scoring has less left to do.

Features are made shard by shard as shards are finished, in a process of its own: an extractor sets switches of the
whole process, which must not change the images that are being generated. Failures are left to the scoring pass that
follows, which makes what is missing and reports what is wrong.
"""

import contextlib
import functools
import json
import subprocess
import sys
from contextlib import ExitStack
from pathlib import Path

import torch

from sgbench.base.errors import UserError
from sgbench.cells.cell import Cell
from sgbench.metrics.catalogue import feature_metrics
from sgbench.metrics.extract import load_extractor
from sgbench.metrics.extractors import EXTRACTORS
from sgbench.metrics.protocols import extractor_of
from sgbench.metrics.references.catalogue import home_of
from sgbench.results.find_cell import open_cell
from sgbench.results.store import Store
from sgbench.score.cell_images import shard_features
from sgbench.suite.own_code import Own, bring_again
from sgbench.suite.schema import Suite

# Networks of fewer GMACs are small enough for a CPU to keep up with a GPU that generates images.
SMALL = 1.0


class BackgroundFeatures(ExitStack):
    """Takes (cell, shard number) as a run finishes them; a context that ends with the run.

    When the run ends, the queue is dropped: the device of the run is then free and faster. Features are written whole
    or not at all, so the process may be stopped at any time.
    """

    def __init__(self, suite: Suite, store: Store, device: torch.device) -> None:
        super().__init__()
        self.store = store
        names = extractors_for(suite, device)
        command = [sys.executable, "-m", "sgbench.score.background_features", str(device), *names]
        self.worker = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, text=True
        )
        self._say(json.dumps(suite.own))
        self.callback(self.worker.wait)
        self.callback(self.worker.terminate)

    def __call__(self, cell: Cell, number: int) -> None:
        """Queue a finished shard."""
        self._say(f"{number} {self.store.cell_folder(cell)}")

    def _say(self, line: str) -> None:
        assert self.worker.stdin is not None
        with contextlib.suppress(BrokenPipeError):
            print(line, file=self.worker.stdin, flush=True)


def extractors_for(suite: Suite, device: torch.device) -> list[str]:
    """The extractors of a suite that are worth running during it on a device."""
    home = home_of(suite.reference) if suite.reference else ""
    names = dict.fromkeys(extractor_of(m, home) for m in feature_metrics(suite.metrics))
    return [n for n in names if EXTRACTORS[n].widths and (device.type != "cpu" or EXTRACTORS[n].gmacs < SMALL)]


def idle_device(running: torch.device) -> torch.device | None:
    """Another GPU, or the CPU while a GPU generates images; None where a run leaves nothing idle."""
    if running.type != "cuda":
        return None
    own = running.index or 0
    others = [index for index in range(torch.cuda.device_count()) if index != own]
    return torch.device("cuda", others[0]) if others else torch.device("cpu")


def work(device: torch.device, extractors: list[str]) -> None:
    """The worker: reads the user's own, then lines of `NUMBER FOLDER`, and writes features into the folders."""
    bring_again(map(Own._make, json.loads(sys.stdin.readline() or "[]")))
    if device.type == "cpu":
        # One core is for the process that generates images.
        torch.set_num_threads(max(1, torch.get_num_threads() - 1))
    load = functools.cache(lambda name: load_extractor(name, device))
    for line in sys.stdin:
        number, _, folder = line.rstrip("\n").partition(" ")
        with contextlib.suppress(UserError):
            cell, store = open_cell(Path(folder))
            for extractor in extractors:
                shard_features(extractor, cell, int(number), store, load)


if __name__ == "__main__":
    work(torch.device(sys.argv[1]), sys.argv[2:])
