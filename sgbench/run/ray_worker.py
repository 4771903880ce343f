"""A worker of the Ray engine: makes one shard of a cell, or its cost and picture, and keeps the model it loaded.

Runs in processes that Ray starts, on any machine that sees the results folder.
"""

import os
import platform
import signal
import tempfile
import time
from pathlib import Path
from typing import Any, NamedTuple

import torch

from sgbench.base.errors import UserError
from sgbench.base.progress import Silent
from sgbench.base.provenance import provenance
from sgbench.base.signals import Interruption
from sgbench.cells.cell import Cell
from sgbench.cells.identity import cell_id
from sgbench.guidance import RULES
from sgbench.results.faults import Failure
from sgbench.results.store import Store
from sgbench.run.finalize import cost_claim, record
from sgbench.run.shards import Gap, ShardMaker, batch_size, shard_claim
from sgbench.run.worker import RunWorker
from sgbench.suite.own_code import Packed, bring_packed

# A network file system may show a new file late.
SEEN_SECONDS = 15.0


class Job(NamedTuple):
    """What all units of a run have in common. Paths are absolute."""

    folder: Path
    """The suite's results."""
    samples: int
    device: str
    batch: int | None
    shard_timeout: float | None
    threads: int
    mark: str
    """Name of a file there that the driver has just created."""
    stop: str
    """Name of a file there that the driver creates to stop the run; finished batches are kept."""
    directory: Path
    """The driver's working directory, to which paths of models and prompts in suites are relative."""
    environment: dict[str, str]
    """The driver's environment variables that say where models are."""
    made_by: dict[str, Any]
    own: tuple[Packed, ...] = ()
    """The user's own that cells name, with its files."""


class Unit(NamedTuple):
    """A gap to fill; without one, cost and picture of a cell whose images are all there."""

    cell: Cell
    id: str
    gap: Gap | None
    failed_before: dict[str, Any] | None
    """The cell's failure when the run began."""

    @property
    def number(self) -> int:
        """The shard's number; 0 without a gap."""
        return 0 if self.gap is None else self.gap.number


class Outcome(NamedTuple):
    """The outcome of a unit as plain data, since our exceptions cannot be pickled whole."""

    node: str
    held: bool = False
    """Another process works on it."""
    made: int = 0
    failure: Failure | None = None
    refused: tuple[str, str, str] | None = None
    """What, where and fix of a UserError that ends the run."""
    said: tuple[str, ...] = ()


class _Heard(Silent):
    """Keeps messages for the driver, and checks after each batch whether it stopped the run."""

    def __init__(self, stop: Path) -> None:
        self.stop = stop
        self.lines: list[str] = []

    def say(self, line: str) -> None:
        self.lines.append(line)

    def advance(self, amount: int, doing: str) -> None:
        self.stop_if_asked()

    def stop_if_asked(self) -> None:
        """Raise Interruption once the driver has stopped the run."""
        if self.stop.exists():
            raise Interruption(signal.SIGTERM)


class _Worker:
    """The state of this process for one job: the results tree and the model that was used last."""

    def __init__(self, job: Job) -> None:
        _check_place(job)
        os.environ.update(job.environment)
        os.chdir(job.directory)
        torch.set_num_threads(job.threads)
        self.code = tempfile.TemporaryDirectory(prefix="sgbench-")
        bring_packed(job.own, Path(self.code.name))
        self.job, self.heard = job, _Heard(job.folder / job.stop)
        store = Store(job.folder.parent, job.folder.name, self.heard.say)
        self.worker = RunWorker(job.samples, store, torch.device(job.device), self.heard, job.shard_timeout)
        self.model = ""
        self.maker: ShardMaker | None = None

    def work(self, unit: Unit) -> Outcome:
        """Do a unit under its claim."""
        self.heard.stop_if_asked()
        if cell_id(unit.cell) != unit.id:
            what = f"the weights on {platform.node()} differ from those of the machine that started the run"
            fix = "put the same files there, preferably on a file system that the machines share"
            raise UserError(what, where=unit.cell.describe(), fix=fix)
        name = cost_claim(unit.cell) if unit.gap is None else shard_claim(unit.cell, unit.number)
        claims = self.worker.claims
        with claims.held(name) as mine:
            notice = claims.notice()
            if notice:
                self.heard.say(notice)
            if not mine:
                return Outcome(platform.node(), held=True)
            made = self._do(unit)
            failure = self.worker.failed.pop(unit.cell, None)
            return Outcome(platform.node(), made=made, failure=failure)

    def _do(self, unit: Unit) -> int:
        cell = unit.cell
        # The failure may be from another worker, or from this unit's first attempt, which ended its process.
        if self.worker.failed_since(cell, unit.failed_before):
            return 0
        maker = self._maker(cell)
        if maker is None:
            return 0
        if unit.gap is None:
            record(cell, maker.networks, self.worker.store, self.job.samples)
            return 0
        before = maker.made
        self.worker.complete(cell, unit.gap, maker)
        return maker.made - before

    def _maker(self, cell: Cell) -> ShardMaker | None:
        """The maker for the cell's model, loaded once; None, and the cell marked as failed, if memory is too small."""
        kept = self.maker if self.model == cell.model else None
        needs_auxiliary = RULES[cell.guidance.rule].needs_auxiliary
        if kept is not None and (kept.networks.auxiliary is not None or not needs_auxiliary):
            return kept
        self.maker = kept = None  # The memory of the last one is free before the next is loaded.
        self.model = cell.model
        self.maker = self.worker.load([cell], batch_size(cell, self.worker.device, self.job.batch))
        return self.maker


_worker: _Worker | None = None


def work(job: Job, unit: Unit) -> Outcome:
    """The task: do `unit` in this process, which keeps its model for the next one."""
    global _worker  # noqa: PLW0603 (a process of Ray has no other place that outlives a task)
    try:
        if _worker is None or _worker.job.mark != job.mark:
            _worker = None
            _worker = _Worker(job)
        _worker.heard.lines.clear()
        done = _worker.work(unit)
    except UserError as error:
        return Outcome(platform.node(), refused=(error.what, error.where, error.fix))
    except Interruption:
        # The driver waits for the end of this task, not for its outcome.
        return Outcome(platform.node())
    return done._replace(said=tuple(_worker.heard.lines))


def _check_place(job: Job) -> None:
    """Raise UserError if this machine has another sgbench, or does not see the driver's folders."""
    own, expected = provenance(), job.made_by
    for name in ("sgbench", "torch"):
        if own[name] != expected[name]:
            what = f"it has {name} {own[name]}, but the machine that started the run has {expected[name]}"
            raise UserError(what, where=platform.node(), fix="install the same versions on all machines")
    mark = job.folder / job.mark
    deadline = time.monotonic() + SEEN_SECONDS
    while not (mark.exists() and job.directory.is_dir()):
        if time.monotonic() > deadline:
            unseen = job.directory if mark.exists() else mark.parent
            raise UserError(
                f"{platform.node()} does not see this folder as the machine that started the run does",
                where=str(unseen),
                fix="start the run in, and give --results on, a file system that all machines share under one path",
            )
        time.sleep(0.2)
