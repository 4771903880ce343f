"""The cost card of a suite: cells, images, GMACs, bytes, an estimate of the minutes, and bounds on them with Ray."""

import math
from collections.abc import Sequence
from typing import Any, NamedTuple

from sgbench.base.processor import processor_name, usable_cores, vector_unit
from sgbench.cells.cell import Cell
from sgbench.cells.closed_form import image_macs, is_stated, stopped_macs
from sgbench.cells.identity import cell_id
from sgbench.cells.program import may_stop
from sgbench.metrics.weights import instrument_named
from sgbench.plan.pace import Pace, extractors_of, known_pace, model_key
from sgbench.results.store import SHARD, Store, image_bytes
from sgbench.suite.schema import Suite

# GMACs per second and core of the embedded models where nothing was measured, on an AMD EPYC with AVX-512 and bfloat16
# and on one with AVX2 (2 GHz); other processors lie between them.
DEFAULT_RATE_PER_CORE = {"bfloat16": 30.0, "float32": 18.0}
AVX2_RATE_PER_CORE = 10.0
# An assumption, not a measurement: 40 % of the 156 tera multiply-accumulates per second of an A100 in bfloat16.
GPU_RATE, GPU_BASIS = 0.4 * 156_000, "an A100 at 40 % of its bfloat16 peak, decoding left out"
# Of the embedded suite on two cores: distances and neighbours; the extractors' convolutions reach half the pace of the
# denoisers' matrix products.
SCORE_SECONDS_PER_THOUSAND_IMAGES = 4.0
EXTRACTOR_PACE = 0.5
# Every cell generates one batch that is not kept.
WARM_UP_IMAGES = 24
# What a bench takes besides images, in starts of a process: its own start, and a report of the embedded suites.
STARTS, START_SECONDS = 3.0, 5.0
# An assumption: a process, torch and a few gigabytes of weights from a file system that machines share.
LOAD_SECONDS = 30.0


class PlannedCell(NamedTuple):
    """One cell with its cost per image and what the results tree already holds of it."""

    id: str
    cell: Cell
    gmacs_per_image: float | None
    """The most, where guidance stops at a time that the images choose. None for a user's model without a closed form
    until it has run: its calls are counted then."""
    least_gmacs_per_image: float | None
    paper_gmacs_per_image: float | None
    images: int
    images_kept: int

    @property
    def images_left(self) -> int:
        """Images that are still to be made."""
        return self.images - self.images_kept


class Plan(NamedTuple):
    """A suite as it will be run."""

    suite: Suite
    cells: list[PlannedCell]
    seconds: float
    rate: float
    rate_basis: str
    rate_threads: int
    """Threads that the rate is of."""

    @property
    def images(self) -> int:
        return sum(cell.images for cell in self.cells)

    @property
    def images_kept(self) -> int:
        return sum(cell.images_kept for cell in self.cells)

    @property
    def gmacs(self) -> float:
        """GMACs of the images that are still to be made, as far as they are known."""
        return sum((c.gmacs_per_image or 0.0) * c.images_left for c in self.cells)

    @property
    def uncounted(self) -> int:
        """Cells with images to make whose cost is counted when they run, and is in no sum."""
        return sum(c.gmacs_per_image is None and c.images_left > 0 for c in self.cells)

    @property
    def bytes(self) -> int:
        """Bytes of all images on disk."""
        return sum(c.images * image_bytes(c.cell) for c in self.cells)

    @property
    def gpu_hours(self) -> float:
        """Hours on the GPU of GPU_BASIS, for what is still to be made."""
        return self.gmacs / GPU_RATE / 3600

    def as_dict(self) -> dict[str, Any]:
        """The plan as one JSON document."""
        return {
            "suite": self.suite.suite,
            "cells": len(self.cells),
            "images": self.images,
            "images_kept": self.images_kept,
            "gmacs_to_do": self.gmacs,
            "cells_counted_when_run": self.uncounted,
            "bytes": self.bytes,
            "estimated_minutes": self.seconds / 60,
            "estimated_gpu_hours": self.gpu_hours,
            "gpu_basis": GPU_BASIS,
            "estimate": {"gmacs_per_second": self.rate, "basis": self.rate_basis},
            "per_cell": [
                {
                    "cell": c.id,
                    "what": c.cell.describe(),
                    "gmacs_per_image": c.gmacs_per_image,
                    "least_gmacs_per_image": c.least_gmacs_per_image,
                    "gflops_per_image": None if c.gmacs_per_image is None else 2 * c.gmacs_per_image,
                    "paper_gmacs_per_image": c.paper_gmacs_per_image,
                    "images": c.images,
                    "images_kept": c.images_kept,
                }
                for c in self.cells
            ],
        }


class Forecast(NamedTuple):
    """Wall time of what is left of a plan on equal workers of Ray, each of which takes the next shard when it is free.

    In whatever order, work W on n workers then ends by W / n + (1 - 1/n) L, where L is the longest shard (Graham 1966),
    and no schedule is faster than W / n or L. Each worker loads each model once. Decoding, a first batch of every cell
    on every worker, and scoring, which one machine does, are left out.
    """

    workers: int
    kind: str
    """`GPU` or `CPU`: each worker has one."""
    basis: str
    """Where a worker's pace comes from."""
    shards: int
    models: int
    work_seconds: float
    """Of one worker that does everything, without loading."""
    longest_seconds: float
    """Of the longest shard."""

    @property
    def at_least(self) -> float:
        """Seconds that no schedule can beat."""
        return max(self.work_seconds / self.workers, self.longest_seconds) + (LOAD_SECONDS if self.models else 0.0)

    @property
    def at_most(self) -> float:
        """Seconds by which every schedule ends."""
        loading = LOAD_SECONDS * self.models
        return self.work_seconds / self.workers + (1 - 1 / self.workers) * self.longest_seconds + loading

    def as_dict(self) -> dict[str, Any]:
        """The forecast as plain data."""
        return {
            **self._asdict(),
            "seconds_at_least": self.at_least,
            "seconds_at_most": self.at_most,
            "load_seconds_per_model": LOAD_SECONDS,
        }


def plan_cells(suite: Suite, cells: Sequence[Cell], store: Store, pace: Pace | None = None) -> Plan:
    """Plan the cells of a suite on this machine, by `pace` or else by what was measured within a day."""
    planned, there = [], store.cell_names()
    for cell in cells:
        name = cell_id(cell)
        kept = store.noted_images(cell, suite.samples) if name in there else 0
        most, least, paper = _stated(cell) if is_stated(cell) else _counted(cell, store)
        planned.append(PlannedCell(name, cell, most, least, paper, suite.samples, kept))
    plan = Plan(suite, planned, 0.0, *_rate(suite, [c.cell for c in planned if c.id in there], store))
    pace = pace or known_pace()
    # What is not counted yet has no time either.
    known = {c: c.gmacs_per_image for c in planned if c.images_left and c.gmacs_per_image is not None}
    work = {c: gmacs * (c.images_left + WARM_UP_IMAGES) for c, gmacs in known.items()}
    if not work and not plan.uncounted:
        return plan
    sampling = sum(gmacs / pace.models.get(model_key(c.cell), plan.rate) for c, gmacs in work.items())
    if work and all(model_key(c.cell) in pace.models for c in work):
        basis = f"measured within a day on {pace.device}, {pace.threads} threads"
        plan = plan._replace(rate=sum(work.values()) / sampling, rate_basis=basis, rate_threads=pace.threads)
    scoring = _scoring_seconds(suite, plan.images - plan.images_kept, plan.rate, pace)
    return plan._replace(seconds=sampling + scoring + STARTS * (pace.start_seconds or START_SECONDS))


def _stated(cell: Cell) -> tuple[float, float, float]:
    """GMACs per image in closed form: the most, the least, the most in the paper's convention."""
    macs = image_macs(cell)
    least = stopped_macs(cell, 1) if may_stop(cell) else macs
    return macs.macs / 1e9, least.macs / 1e9, macs.paper / 1e9


def _counted(cell: Cell, store: Store) -> tuple[float, float, float] | tuple[None, None, None]:
    """The same as counted when the cell ran; nothing where it has not run yet."""
    cost = store.read_record(cell, "cost")
    if cost is None:
        return None, None, None
    macs = cost["macs_per_image"] / 1e9
    return macs, macs, cost["paper_per_image"] / 1e9


def _scoring_seconds(suite: Suite, images: int, rate: float, pace: Pace) -> float:
    """Seconds to score fresh images: every extractor sees each once."""
    if not suite.metrics:
        return 0.0
    assumed = {name: instrument_named(name).gmacs / (rate * EXTRACTOR_PACE) for name in extractors_of(suite)}
    seconds = sum(pace.extractors.get(name, default) for name, default in assumed.items())
    return images * (seconds + SCORE_SECONDS_PER_THOUSAND_IMAGES / 1000)


def _rate(suite: Suite, cells: Sequence[Cell], store: Store) -> tuple[float, str, int]:
    """GMACs per second as one of `cells` measured on this processor, else a default per core; its basis and threads."""
    here = processor_name()
    for cell in cells:
        cost = store.read_record(cell, "cost") or {}
        try:
            measured = cost["measured"]
            if measured["device"]["name"] != here:
                continue
            rate = float(cost["macs_per_image"] / 1e9 / measured["seconds_per_image"]["median"])
            threads = int(measured["device"]["threads"])
        except (KeyError, TypeError, ValueError, ArithmeticError):
            continue  # Not what `run` writes; try the next cell.
        if 0 < rate < math.inf and threads > 0:
            return rate, f"measured earlier on {here}, {threads} threads", threads
    cores = usable_cores()
    per_core = AVX2_RATE_PER_CORE if vector_unit() == "AVX2" else DEFAULT_RATE_PER_CORE[suite.dtype]
    return per_core * cores, f"a default for {cores} cores; the first cell will give a better estimate", cores


def forecast(plan: Plan, gpus: int | None) -> Forecast:
    """The wall time of a plan on `gpus` GPUs of GPU_BASIS; without them, on a single-threaded worker per core here."""
    if gpus is None:
        workers, kind, rate = usable_cores(), "CPU", plan.rate / plan.rate_threads
        basis = f"{plan.rate_basis}, divided by its threads"
    else:
        workers, kind, rate, basis = gpus, "GPU", GPU_RATE, GPU_BASIS
    left = [cell for cell in plan.cells if cell.images_left]
    longest = max((_longest(c.images, c.images_kept) * (c.gmacs_per_image or 0.0) for c in left), default=0.0)
    shards = sum(math.ceil(cell.images / SHARD) - cell.images_kept // SHARD for cell in left)
    models = len({cell.cell.model for cell in left})
    return Forecast(workers, kind, basis, shards, models, plan.gmacs / rate, longest / rate)


def _longest(images: int, kept: int) -> int:
    """Most images missing in one shard; the `kept` images are the first ones."""
    first = min(images, (kept // SHARD + 1) * SHARD)
    return max(first - kept, min(SHARD, images - first))
