"""How long a suite takes on many workers: a bound on what Ray's handing out of shards can come to. No torch, no Ray.

Whoever is free takes the next shard. However the shards fall, work W on n workers then ends by W / n + (1 - 1/n) L,
where L is the longest shard (Graham 1966), and no schedule is faster than W / n or L. Each worker loads each model
once. Left out are decoding, a first batch of every cell on every worker, and scoring, which one machine does.
"""

from __future__ import annotations

from typing import Any, NamedTuple

from sgbench.base.processor import usable_cores
from sgbench.plan.plan import GPU_BASIS, GPU_RATE, Plan
from sgbench.results.store import SHARD

# An assumption: a process, torch and a few gigabytes of weights from a file system that machines share.
LOAD_SECONDS = 30.0


class Forecast(NamedTuple):
    """Wall time of what is left of a plan on a number of equal workers."""

    workers: int
    kind: str
    """`GPU` or `CPU`: what one worker has one of."""
    basis: str
    """Where a worker's pace comes from."""
    shards: int
    models: int
    work_seconds: float
    """Of one worker that does it all, without loading."""
    longest_seconds: float
    """Of the longest shard."""

    @property
    def loading_seconds(self) -> float:
        """What each worker spends on loading the models, one after another."""
        return LOAD_SECONDS * self.models

    @property
    def at_least(self) -> float:
        """Seconds that no schedule can beat."""
        return max(self.work_seconds / self.workers, self.longest_seconds) + (LOAD_SECONDS if self.models else 0.0)

    @property
    def at_most(self) -> float:
        """Seconds by which handing out shards is done."""
        return self.work_seconds / self.workers + (1 - 1 / self.workers) * self.longest_seconds + self.loading_seconds

    def as_dict(self) -> dict[str, Any]:
        """The forecast as plain data."""
        return {
            **self._asdict(),
            "seconds_at_least": self.at_least,
            "seconds_at_most": self.at_most,
            "load_seconds_per_model": LOAD_SECONDS,
        }


def forecast(plan: Plan, gpus: int | None) -> Forecast:
    """The wall time of a plan on `gpus` GPUs of GPU_BASIS; without them, on a single-threaded worker per core here."""
    if gpus is None:
        workers, kind, rate = usable_cores(), "CPU", plan.rate / plan.rate_threads
        basis = f"{plan.rate_basis}, divided by its threads"
    else:
        workers, kind, rate, basis = gpus, "GPU", GPU_RATE, GPU_BASIS
    left = [cell for cell in plan.cells if cell.images > cell.images_kept]
    longest = max((_longest(c.images, c.images_kept) * c.gmacs_per_image for c in left), default=0.0)
    shards = sum(_shards(cell.images) - cell.images_kept // SHARD for cell in left)
    models = len({cell.cell.model for cell in left})
    return Forecast(workers, kind, basis, shards, models, plan.gmacs / rate, longest / rate)


def _shards(images: int) -> int:
    return -(-images // SHARD)


def _longest(images: int, kept: int) -> int:
    """Images missing in the shard that lacks most of them; those that are there are the first."""
    first = min(images, (kept // SHARD + 1) * SHARD)
    return max(first - kept, min(SHARD, images - first))
