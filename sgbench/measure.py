"""`python -m sgbench.measure`: how fast this machine is with models and extractors, for `plan/pace.py`.

Reads what to measure from stdin as JSON (a suite, keys of models, names of extractors, when the process was started)
and prints a `Pace` as JSON. It imports everything a bench does, and no module imports it.
"""

import json
import math
import sys
import time
from collections.abc import Sequence
from functools import partial

import numpy as np
import torch

from sgbench.cells.cell import Cell
from sgbench.cells.closed_form import image_macs
from sgbench.cost.measured import timed
from sgbench.guidance import RULES
from sgbench.metrics.extract import load_extractor
from sgbench.plan.pace import Pace, model_key
from sgbench.report import build  # noqa: F401  The imports of a bench are part of its time.
from sgbench.run.device import describe_device, resolve_device
from sgbench.run.runner import run_cells  # noqa: F401
from sgbench.run.shards import batch_size
from sgbench.sampling.engine import sample
from sgbench.sampling.networks import load_networks
from sgbench.score.scorer import score_cells  # noqa: F401
from sgbench.suite.own_code import Own, bring_again
from sgbench.suite.schema import suite_class
from sgbench.suite.sweep import expand

# A processor that shares its machine changes its pace by the second.
SECONDS = 3.0
CELLS, STEPS, IMAGES = 6, 3, 48


def gmacs_per_second(cells: Sequence[Cell], device: torch.device) -> float:
    """The pace of a model over a few cells of its suite and steps of each: calls with few tokens are less efficient."""
    chosen = [
        cell._replace(sampler=cell.sampler._replace(steps=min(cell.sampler.steps, STEPS)))
        for cell in cells[:: math.ceil(len(cells) / CELLS)]
    ]
    networks = load_networks(chosen[0], any(RULES[c.guidance.rule].needs_auxiliary for c in chosen), device)
    size = batch_size(chosen[0], device, None).size
    for cell in chosen:
        sample(cell, networks, range(size), device)
    spent = work = 0.0
    while spent < SECONDS:
        for cell in chosen:
            drawn, seconds = timed(partial(sample, cell, networks, range(size), device), device)
            spent, work = spent + seconds, work + drawn.made * image_macs(cell).macs
    return work / 1e9 / spent


def seconds_per_image(extractor: str, device: torch.device) -> float:
    """How long an extractor takes for a grey image of noise, of the packaged models' size; colour costs the same."""
    network = load_extractor(extractor, device)
    images = np.random.default_rng(0).integers(0, 256, (IMAGES, 32, 32, 1), dtype=np.uint8)
    network([images[: network.batch]], "warming up")
    spent, seen = 0.0, 0
    while spent < SECONDS / 2:
        _, seconds = timed(lambda: network([images], "measuring"), device)
        spent, seen = spent + seconds, seen + IMAGES
    return spent / seen


def main() -> None:
    """Measure what stdin requests."""
    request = json.load(sys.stdin)
    start_seconds = time.time() - request["started"]
    bring_again(map(Own._make, request["own"]))
    suite = suite_class().model_validate(request["suite"])
    device = resolve_device(request["device"])
    cells = expand(suite)
    models = {key: gmacs_per_second([c for c in cells if model_key(c) == key], device) for key in request["models"]}
    extractors = {name: seconds_per_image(name, device) for name in request["extractors"]}
    name, threads = str(describe_device(device)["name"]), torch.get_num_threads()
    print(json.dumps(Pace(models, extractors, start_seconds, name, threads, time.time())._asdict()))


if __name__ == "__main__":
    main()
