"""Extract features beside a run, on a device that the run leaves idle, so that scoring has less left to do.

Only features are made here, shard by shard as shards are finished. Whatever goes wrong is left to the scoring pass
that follows, which does what is missing and says what is wrong.
"""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from types import TracebackType

import torch

from sgbench.errors import UserError
from sgbench.run.store import Store
from sgbench.score.extractors.catalogue import EXTRACTORS
from sgbench.score.extractors.extract import Loaded, load_extractor
from sgbench.score.features import shard_features
from sgbench.score.metrics import METRICS
from sgbench.score.protocols import extractor_of
from sgbench.score.reference_catalogue import home_of
from sgbench.suite.cell import Cell
from sgbench.suite.schema import Suite

# Networks small enough for a CPU to keep up with a GPU that draws.
SMALL = ("fashion-cnn", "lite0")


class Beside:
    """Takes (cell, shard number) as a run finishes them; a context that ends with the run.

    When the run ends, what is still waiting is dropped: the device that drew is then free to do it faster.
    """

    def __init__(self, suite: Suite, store: Store, device: torch.device) -> None:
        self.store, self.device = store, device
        home = home_of(suite.reference) if suite.metrics else ""
        names = dict.fromkeys(extractor_of(m, home) for m in suite.metrics if METRICS[m].kind != "lpips")
        small = device.type == "cpu"
        self.extractors = [n for n in names if EXTRACTORS[n].widths and (not small or n in SMALL)]
        self._loaded: dict[str, Loaded] = {}
        self._pool = ThreadPoolExecutor(1, "features")

    def __call__(self, cell: Cell, number: int) -> None:
        """Queue a finished shard."""
        self._pool.submit(self._extract, cell, number)

    def wait(self) -> None:
        """Until all that was queued is done."""
        self._pool.submit(int).result()

    def __enter__(self) -> Beside:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._pool.shutdown(wait=True, cancel_futures=True)

    def _extract(self, cell: Cell, number: int) -> None:
        for extractor in self.extractors:
            try:
                shard_features(extractor, cell, number, self.store, self._load)
            except UserError:
                return

    def _load(self, name: str) -> Loaded:
        if name not in self._loaded:
            self._loaded[name] = load_extractor(name, self.device)
        return self._loaded[name]


def idle_device(running: torch.device) -> torch.device | None:
    """Another GPU, or the CPU while a GPU draws; None where a run leaves nothing idle."""
    if running.type != "cuda":
        return None
    own = running.index or 0
    others = [index for index in range(torch.cuda.device_count()) if index != own]
    return torch.device("cuda", others[0]) if others else torch.device("cpu")
