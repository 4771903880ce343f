"""One process's share of a run: the cells of a model in turn, a shard each, while others do the same."""

import contextlib
import os
import sys
import threading
from collections.abc import Callable, Iterator
from typing import Any

import torch

from sgbench.base.errors import CellError
from sgbench.base.progress import Progress
from sgbench.cells.cell import Cell
from sgbench.cost.macs import check_own
from sgbench.guidance import RULES
from sgbench.results.claims import Claims, work_through
from sgbench.results.faults import RECORD, Failure, read_failure, write_failure
from sgbench.results.store import Store
from sgbench.run.device import Batch, default_timeout, describe_device, is_out_of_memory
from sgbench.run.finalize import cost_claim, record
from sgbench.run.shards import Gap, ShardMaker, shard_claim
from sgbench.sampling.networks import load_networks

OnShard = Callable[[Cell, int], None]


class RunWorker:
    """Brings cells to `samples` images; counts the images it `made` and keeps which cells `failed`.

    A shard that takes longer than `shard_timeout` seconds (by default an hour on a GPU, any time on a CPU) ends this
    process with status 1: a kernel that hangs cannot be interrupted. What was finished is kept.
    """

    def __init__(
        self,
        samples: int,
        store: Store,
        device: torch.device,
        progress: Progress,
        shard_timeout: float | None = None,
        on_shard: OnShard | None = None,
    ) -> None:
        self.samples, self.store, self.device, self.progress = samples, store, device, progress
        self.shard_timeout, self.on_shard = shard_timeout or default_timeout(device), on_shard
        self.claims = Claims(store.folder)
        self.made = 0
        self.failed: dict[Cell, Failure] = {}

    def complete_model(self, stale: dict[Cell, dict[int, Gap]], batch: Batch) -> None:
        """Complete the cells of one model, given the gaps in their shards.

        The cells take turns, a shard each: a machine that slows down for a while slows all of them, so their seconds
        stay comparable, and a run that is interrupted leaves every cell with about as many images.
        """
        maker = self.load(list(stale), batch)
        if maker is None:
            return
        earlier = {cell: self.store.read_record(cell, RECORD) for cell in stale}

        def complete(unit: tuple[Cell, Gap]) -> None:
            cell, gap = unit
            if not self.failed_since(cell, earlier[cell]):
                self.complete(cell, gap, maker)

        units = [(cell, gap) for cell, gaps in stale.items() for gap in gaps.values()]
        units.sort(key=lambda unit: unit[1].number)
        shared = (self.claims, self.progress.say)
        work_through(units, lambda unit: shard_claim(unit[0], unit[1].number), complete, *shared)
        self.made += maker.made
        whole = [cell for cell in stale if cell not in self.failed]
        work_through(whole, cost_claim, lambda cell: record(cell, maker.networks, self.store, self.samples), *shared)

    def failed_since(self, cell: Cell, before: dict[str, Any] | None) -> bool:
        """Whether the cell failed, here or in another process, since its failure's record was `before`.

        Its other shards would fail as well.
        """
        if self.store.read_record(cell, RECORD) != before:
            failure = read_failure(cell, self.store)
            if failure is not None:
                self.failed[cell] = failure
        return cell in self.failed

    def load(self, cells: list[Cell], batch: Batch) -> ShardMaker | None:
        """Load the cells' model; None, and all cells marked as failed, if memory is too small for it."""
        auxiliary = any(RULES[cell.guidance.rule].needs_auxiliary for cell in cells)
        try:
            networks = load_networks(cells[0], auxiliary, self.device)
            check_own(networks.main)
            return ShardMaker(networks, self.store, self.device, batch, self.progress)
        except (MemoryError, RuntimeError) as error:
            if not is_out_of_memory(error):
                raise
        for cell in cells:
            fix = "use a device with more memory, or stop other programs that use it"
            self._fail(cell, 0, CellError("memory is too small for the model", where=cell.describe(), fix=fix))
        return None

    def complete(self, cell: Cell, gap: Gap, maker: ShardMaker) -> None:
        """Complete one shard, whose claim is held; after an error the cell is recorded and listed as failed."""
        try:
            with self._limited(cell, gap.number):
                made = maker.complete(cell, gap.number, gap.wanted)
        except CellError as fault:
            self._fail(cell, gap.number, fault)
            return
        if not made:
            self.progress.advance(gap.missing, f"{cell.describe()} (kept)")
        elif self.on_shard is not None:
            self.on_shard(cell, gap.number)

    def _fail(self, cell: Cell, number: int, fault: CellError) -> None:
        found = write_failure(cell, number, self.samples, fault, describe_device(self.device), self.store)
        self.failed[cell] = found
        self.progress.say(f"failed: {found.sentence()}")

    @contextlib.contextmanager
    def _limited(self, cell: Cell, number: int) -> Iterator[None]:
        """End the process if the context takes longer than a shard may."""
        if self.shard_timeout is None:
            yield
            return
        timer = threading.Timer(self.shard_timeout, self._end, (cell, number))
        timer.daemon = True
        timer.start()
        try:
            yield
        finally:
            timer.cancel()

    def _end(self, cell: Cell, number: int) -> None:
        what = f"shard {number} was not finished in {self.shard_timeout:g} seconds on {self.device}"
        fix = "check whether the device hangs, then repeat the command, which continues; or give --shard-timeout"
        fault = CellError(what, where=cell.describe(), fix=fix)
        try:
            write_failure(cell, number, self.samples, fault, describe_device(self.device), self.store)
        finally:
            self.progress.say(f"sgbench: {fault}")
            sys.stdout.flush()
            os._exit(1)
