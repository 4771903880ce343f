"""One process's part in a run: the cells of a model in turn, a shard each, beside others that do the same."""

from __future__ import annotations

from collections.abc import Callable

import torch

from sgbench.base.errors import CellError
from sgbench.base.progress import Progress
from sgbench.cells.cell import Cell
from sgbench.guidance import RULES
from sgbench.results.claims import Claims, work_through
from sgbench.results.faults import RECORD, Failure, read_failure, write_failure
from sgbench.results.store import Store, shard_sizes
from sgbench.run.device import describe_device
from sgbench.run.finalize import cost_claim, is_recorded, record
from sgbench.run.memory import Batch, is_out_of_memory
from sgbench.run.shards import Gap, ShardMaker, shard_claim
from sgbench.run.watchdog import Watchdog
from sgbench.sampling.networks import Networks, load_networks

OnShard = Callable[[Cell, int], None]


class Part:
    """Brings cells to `samples` images; counts the images it `made` and keeps which cells `failed`."""

    def __init__(
        self,
        samples: int,
        store: Store,
        device: torch.device,
        progress: Progress,
        on_shard: OnShard | None,
        watchdog: Watchdog,
    ) -> None:
        self.samples, self.store, self.device, self.progress = samples, store, device, progress
        self.on_shard, self.watchdog = on_shard, watchdog
        self.claims = Claims(store.folder)
        self.made = 0
        self.failed: dict[Cell, Failure] = {}

    def complete_model(self, gaps: dict[Cell, dict[int, Gap]], batch: Batch) -> None:
        """Complete the cells of one model.

        The cells take turns, a shard each: a machine that slows down for a while slows all of them, so their seconds
        stay comparable, and a run that is interrupted leaves every cell with about as many images.
        """
        for cell, found in gaps.items():
            there = self.samples - sum(gap.missing for gap in found.values())
            if there:
                self.progress.advance(there, f"{cell.describe()} (kept)")
        stale = [cell for cell in gaps if gaps[cell] or not is_recorded(cell, self.store, self.samples)]
        networks = self.load(stale) if stale else None
        if networks is None:
            return
        for cell in stale:
            self.store.write_cell(cell)
            self.store.remove_leftovers(cell)
        earlier = {cell: self.store.read_record(cell, RECORD) for cell in stale}
        maker = ShardMaker(networks, self.store, self.device, batch, self.progress)

        def complete(unit: tuple[Cell, Gap]) -> None:
            cell, gap = unit
            if self.store.read_record(cell, RECORD) != earlier[cell]:
                failure = read_failure(cell, self.store)
                if failure is not None:
                    # It failed just now, here or in another process: no use in trying its other shards.
                    self.failed[cell] = failure
            if cell not in self.failed:
                self.complete(cell, gap, maker)

        numbers = [number for number, _ in shard_sizes(self.samples)]
        units = [(cell, gaps[cell][number]) for number in numbers for cell in stale if number in gaps[cell]]
        say = self.progress.say
        work_through(units, lambda unit: shard_claim(unit[0], unit[1].number), complete, self.claims, say)
        self.made += maker.made
        whole = [cell for cell in stale if cell not in self.failed]
        work_through(whole, cost_claim, lambda cell: record(cell, networks, self.store, self.samples), self.claims, say)

    def load(self, cells: list[Cell]) -> Networks | None:
        """The networks of the cells' model; None, and all of them failed, where the memory does not hold them."""
        auxiliary = any(RULES[cell.guidance.rule].needs_auxiliary for cell in cells)
        try:
            return load_networks(cells[0], auxiliary, self.device)
        except (MemoryError, RuntimeError) as error:
            if not is_out_of_memory(error):
                raise
        for cell in cells:
            fix = "use a device with more memory, or end what else uses it"
            self._fail(cell, 0, CellError("the memory does not hold the model", where=cell.describe(), fix=fix))
        return None

    def complete(self, cell: Cell, gap: Gap, maker: ShardMaker) -> None:
        """Complete one shard, whose claim is held; a fault is written down, and the cell is among the failed."""
        try:
            with self.watchdog.over(cell, gap.number):
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
