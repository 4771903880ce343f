"""All embedded metrics of a cell, with their errors, against drawing its images: must take less time.

    python tests/bench/score_cell.py [--images 960]

Draws a cheap and a dear cell of the embedded suite into a folder of its own, scores both without anything kept, and
prints where the time goes.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from pathlib import Path

import torch

from sgbench import api
from sgbench.base.progress import Silent
from sgbench.images.sets import info_of
from sgbench.metrics.computer import Computer
from sgbench.metrics.metric import FeatureMetric
from sgbench.metrics.references.load import load_reference
from sgbench.metrics.scores import METRICS
from sgbench.results.store import Store
from sgbench.score.cell_images import CellImages, features_of
from sgbench.suite.sweep import expand

SUITE = Path(__file__).parents[2] / "suites" / "fashion-mnist.yaml"
SWEEP = [
    {"guidance": ["none"], "gamma_strong": [0.7]},
    {"guidance": ["cfg"], "scale": [1.5]},
]


def main() -> None:
    """Parse the options, draw, score, print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--images", type=int, default=960)
    images = parser.parse_args().images
    suite = api.load_suite(SUITE, limit=images)
    entries = [type(suite.sweep[0])(**entry) for entry in SWEEP]
    suite = suite.model_copy(update={"sweep": entries})
    device = torch.device("cpu")
    with tempfile.TemporaryDirectory() as folder:
        store = Store(Path(folder), suite.suite)
        computer = Computer(load_reference(suite.reference), suite.metrics, device, Silent())
        for cell in expand(suite):
            started = time.perf_counter()
            one = suite.model_copy(update={"sweep": [e for e in entries if e.guidance == [cell.guidance.rule]]})
            api.run_suite(one, Path(folder), device="cpu")
            drawing = time.perf_counter() - started
            found = CellImages(cell, store, images)
            facts = info_of(found)
            started = time.perf_counter()
            needed = dict.fromkeys(computer.extractor(metric) for metric in suite.metrics)
            features = {e: features_of(e, found, computer.loaded) for e in needed}
            extracting = time.perf_counter() - started
            lines = []
            for metric in suite.metrics:
                began = time.perf_counter()
                chosen = METRICS[metric]
                assert isinstance(chosen, FeatureMetric)
                chosen.score(features[computer.extractor(metric)][chosen.output], facts, computer)
                lines.append((metric, time.perf_counter() - began))
            scoring = time.perf_counter() - started
            print(
                f"{cell.describe()}: drawing {drawing:.1f} s, scoring {scoring:.1f} s ({scoring / drawing:.2f} of it)"
            )
            print(f"  features {extracting:.2f} s; " + "; ".join(f"{m} {s:.2f} s" for m, s in lines))


if __name__ == "__main__":
    main()
