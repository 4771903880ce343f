"""Run the cells of a suite on Ray: a task for every missing shard, on any node with room for it.

Ray schedules, assigns GPUs and repeats tasks whose worker died. The driver, here, loads no model: it finds what is
missing, submits enough tasks to keep the workers busy, and handles their outcomes.
"""

import contextlib
import os
import time
from collections import Counter, deque
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from sgbench.base.atomic import temporary_name
from sgbench.base.errors import CellError, UserError
from sgbench.base.progress import Progress
from sgbench.base.provenance import provenance
from sgbench.base.signals import stop_if_asked
from sgbench.cells.cell import Cell
from sgbench.cells.identity import cell_id
from sgbench.results.claims import pauses, waiting_for
from sgbench.results.faults import RECORD, Failure, write_failure
from sgbench.results.store import Store
from sgbench.run.engines import Ray, require_ray
from sgbench.run.ray_cluster import Cluster, connected
from sgbench.run.ray_worker import Job, Outcome, Unit, work
from sgbench.run.runner import Run, RunSummary
from sgbench.suite.own_code import Own, packed_own

# How often a shard is tried if its worker dies, and tasks submitted for every worker that the cluster has room for.
ATTEMPTS, AHEAD = 4, 4
TICK_SECONDS, REFRESH_SECONDS = 0.5, 600.0
# Longer than a batch takes and than a network file system hides a new file (NFS: a minute), so that batches are kept.
GRACE_SECONDS = 90.0
INHERITED = ("SGBENCH_", "HF_")


def run_on_ray(
    cells: Sequence[Cell],
    samples: int,
    store: Store,
    settings: Ray,
    progress: Progress,
    device: str = "auto",
    batch: int | None = None,
    shard_timeout: float | None = None,
    own: tuple[Own, ...] = (),
) -> RunSummary:
    """What `run_cells` does, in workers of Ray, all of which see the folder of `store`.

    Images are those of one process with `settings.threads_per_worker` threads on such machines. Raises UserError for
    a missing cluster, for workers that do not see the results, and as `run_cells` does.
    """
    require_ray()
    run = Run(cells, samples, store, progress)
    if not run.stale:
        return run.end(0, {})
    mark, stop = (temporary_name(store.folder / name).name for name in ("mark", "stop"))
    inherited = {name: value for name, value in os.environ.items() if name.startswith(INHERITED)}
    store.write_mark(mark)
    try:
        with connected(settings, device) as cluster:
            job = Job(
                store.folder.absolute(),
                samples,
                cluster.device,
                batch,
                shard_timeout,
                settings.threads_per_worker,
                mark,
                stop,
                Path.cwd(),
                inherited,
                provenance(),
                packed_own(own),
            )
            driver = _Driver(job, run, cluster)
            driver.drive()
    except SystemError:
        # A signal's exception becomes one when it passes through Ray's own code.
        stop_if_asked()
        raise
    finally:
        store.discard(store.folder / mark, store.folder / stop)
    return run.end(driver.made, driver.failed)


class _Driver:
    """Submits units to Ray and handles their outcomes."""

    def __init__(self, job: Job, run: Run, cluster: Cluster) -> None:
        self.job, self.run, self.cluster = job, run, cluster
        self.store, self.progress = run.store, run.progress
        self.made = 0
        self.failed: dict[Cell, Failure] = {}
        self.waiting: deque[Unit] = deque()
        self.running: dict[Any, Unit] = {}
        self.held: list[tuple[float, Unit]] = []
        """Units that another process works on, and when to try them again."""
        self.left: Counter[Cell] = Counter()
        self.patience, self.told = pauses(), False
        self.started = self.marked = time.monotonic()
        # Ray retries tasks whose process died. An error of a cell comes back as an outcome.
        options = {**cluster.request, "max_retries": ATTEMPTS - 1, "retry_exceptions": False, "name": "sgbench"}
        self.task = cluster.ray.remote(work).options(**options)

    def drive(self) -> None:
        """Complete the cells: a model's shards one after another, so that workers load it once, its cells in turn."""
        units = []
        for cell, found in self.run.stale.items():
            self.left[cell] = len(found)
            before = self.store.read_record(cell, RECORD)
            # A cell whose images are all there lacks only its cost or picture.
            units += [Unit(cell, cell_id(cell), gap, before) for gap in found.values() or [None]]
        models = list(dict.fromkeys(cell.model for cell in self.run.stale))
        units.sort(key=lambda unit: (models.index(unit.cell.model), unit.number))
        self.waiting.extend(units)
        try:
            while self.waiting or self.running or self.held:
                self._hand_out()
                self._wait()
        except BaseException:
            self._cancel()
            raise

    def _hand_out(self) -> None:
        now = time.monotonic()
        due = [unit for when, unit in self.held if when <= now]
        self.held = [(when, unit) for when, unit in self.held if when > now]
        self.waiting.extendleft(reversed(due))
        room = AHEAD * max(1, self.cluster.slots) - len(self.running) if self.waiting else 0
        while self.waiting and room > 0:
            unit = self.waiting.popleft()
            if unit.cell not in self.failed:
                self.running[self.task.remote(self.job, unit)] = unit
                room -= 1

    def _wait(self) -> None:
        stop_if_asked()
        if time.monotonic() - self.marked > REFRESH_SECONDS:
            self.store.write_mark(self.job.mark)
            self.marked = time.monotonic()
        if not self.running:
            if self.held and not self.told:
                self.progress.say(waiting_for(len(self.held)))
                self.told = True
            time.sleep(min(TICK_SECONDS, next(self.patience)))
            return
        done, _ = self.cluster.ray.wait(list(self.running), timeout=TICK_SECONDS)
        for reference in done:
            unit = self.running.pop(reference)
            self._take(unit, self._outcome(unit, reference))

    def _outcome(self, unit: Unit, reference: Any) -> Outcome:
        """The outcome of a task; the failure of its cell if its workers died every time."""
        from ray import exceptions

        try:
            found: Outcome = self.cluster.ray.get(reference)
        except (exceptions.WorkerCrashedError, exceptions.OutOfMemoryError, exceptions.NodeDiedError) as error:
            said = " ".join(str(error).split("\n")[0].split())
            fault = CellError(
                f"shard {unit.number} was tried {ATTEMPTS} times, and its worker died each time ({said})",
                where=unit.cell.describe(),
                fix="check whether the nodes have enough memory, then repeat the command, which continues",
            )
            device = {"type": self.cluster.device, "name": "worker of Ray", "threads": self.cluster.threads}
            failure = write_failure(unit.cell, unit.number, self.job.samples, fault, device, self.store)
            return Outcome("", failure=failure, said=(f"failed: {failure.sentence()}",))
        except exceptions.RayTaskError:
            raise
        except exceptions.RayError as error:
            said = " ".join(str(error).split())
            raise UserError(
                f"Ray dropped the task ({said})", where=unit.cell.describe(), fix="repeat the command, which continues"
            ) from error
        return found

    def _take(self, unit: Unit, outcome: Outcome) -> None:
        for line in outcome.said:
            self.progress.say(line)
        if outcome.refused is not None:
            what, where, fix = outcome.refused
            raise UserError(what, where=where, fix=fix)
        if outcome.held:
            self.held.append((time.monotonic() + next(self.patience), unit))
            return
        self.patience = pauses()
        self.made += outcome.made
        if outcome.failure is not None:
            self.failed[unit.cell] = outcome.failure
        elif unit.gap is not None:
            pace = self.made / (time.monotonic() - self.started)
            how = f" on {outcome.node}, {pace:.1f} images/s in all" if outcome.made else " (kept)"
            self.progress.advance(unit.gap.missing, f"{unit.cell.describe()}{how}")
            self.left[unit.cell] -= 1
            if not self.left[unit.cell]:
                self.waiting.appendleft(unit._replace(gap=None))

    def _cancel(self) -> None:
        """Stop the running tasks as a signal would stop a process: finished batches are kept.

        Ray 2.60 aborts the driver if a task ends while it is being cancelled (ray-project/ray#54798 fixed a part of
        that), so workers stop by themselves. Those that do not are cancelled by force.
        """
        ray, rest = self.cluster.ray, list(self.running)
        with contextlib.suppress(Exception):
            self.store.write_mark(self.job.stop)
            if rest:
                _, rest = ray.wait(rest, num_returns=len(rest), timeout=GRACE_SECONDS)
        with contextlib.suppress(Exception):
            for task in rest:
                ray.cancel(task, force=True)
