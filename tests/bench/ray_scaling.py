"""Images per second of two single-threaded workers of Ray against one, in turn on the same machine.

    python tests/bench/ray_scaling.py [--rounds N] [--shards N]

Each run has a cluster of its own whose workers were up and had made a shard before the clock started; loading the
model, drawing and the cell's cost record are inside. Load says how many processes wanted a core when a run began: the
ratio means something where it is near zero.
"""

from __future__ import annotations

import argparse
import logging
import os
import statistics
import tempfile
from pathlib import Path

import ray

from sgbench import api
from sgbench.results.store import SHARD
from sgbench.run.engines import Ray
from sgbench.run.ray_cluster import DEFAULTS, OBJECT_BYTES

SUITE = """
suite: scaling
title: scaling
seed: 0
samples: {samples}
metrics: []
model: fashion-routing
sampler: {{name: euler, steps: {steps}}}
sweep: [{{guidance: cfg, scale: 2}}]
"""


def pace(workers: int, shards: int) -> float:
    """Images per second of a run by that many workers."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        ray.init(
            address="local",
            num_cpus=workers,
            include_dashboard=False,
            object_store_memory=OBJECT_BYTES,
            log_to_driver=False,
            logging_level=logging.ERROR,
        )
        try:
            for what, samples, steps in (("warm", workers * SHARD, 1), ("measured", shards * SHARD, 3)):
                (folder / "s.yaml").write_text(SUITE.format(samples=samples, steps=steps))
                suite = api.load_suite(folder / "s.yaml")
                done = api.run_suite(suite, folder / what, device="cpu", ray=Ray())
            return done.images_made / done.seconds
        finally:
            ray.shutdown()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--shards", type=int, default=8)
    asked = parser.parse_args()
    os.environ |= DEFAULTS
    ratios = []
    for number in range(asked.rounds):
        loads, paces = [], []
        # The order changes, so that a machine that slows down slows both.
        for workers in (1, 2) if number % 2 == 0 else (2, 1):
            loads.append(os.getloadavg()[0])
            paces.append((workers, pace(workers, asked.shards)))
        one, two = (found for _, found in sorted(paces))
        ratios.append(two / one)
        load = ", ".join(f"{value:.1f}" for value in loads)
        print(f"one {one:.1f}, two {two:.1f} images/s, ratio {two / one:.2f} (load before: {load})", flush=True)
    print(f"two single-threaded workers reach {statistics.median(ratios):.2f} times one (median of {len(ratios)})")


if __name__ == "__main__":
    main()
