"""What the engine adds to the bare denoiser calls it makes: draws, combination, the sampler's step.

SiT-S/2 at 256 pixels with TREAD's route, random weights, 16 images. The calls of one run are recorded with their
inputs and made again without the engine; both take turns, and the ratio of each round is what counts.
Run: .venv/bin/python tests/bench/engine.py [--threads 2] [--rounds 5]
"""

from __future__ import annotations

import argparse
import statistics
from functools import partial
from typing import Any

import torch

from sgbench.cells.cell import Cell
from sgbench.cost.measured import timed
from sgbench.guidance.settings import Guidance
from sgbench.run.device import describe_device, resolve_device
from sgbench.samplers.settings import Sampler
from sgbench.sampling.engine import sample
from sgbench.sampling.networks import Networks, load_networks

IMAGES, STEPS = 16, 3
MODEL = "tread-sit S/2 256 weights=random"
APG = (("eta", 0.0), ("momentum", -0.5), ("norm_limit", 5.0))
RULES = {
    "unguided": Guidance("none"),
    "CFG": Guidance("cfg", 1.5),
    "SG 0.5 / 0.9": Guidance("sg", 1.5, 0.5, 0.9),
    "CFG+SG 0.2 / 0.7": Guidance("cfg+sg", 1.5, 0.2, 0.7),
    "APG": Guidance("apg", 1.5, parameters=APG),
}


def recorded(cell: Cell, networks: Networks, device: torch.device) -> list[tuple[Any, ...]]:
    """The inputs of every call that a run makes."""
    calls: list[tuple[Any, ...]] = []
    hook = networks.main.register_forward_hook(lambda _, inputs, __: calls.append(inputs))
    sample(cell, networks, range(IMAGES), device)
    hook.remove()
    return calls


@torch.inference_mode()
def bare(networks: Networks, calls: list[tuple[Any, ...]]) -> None:
    """The same calls and nothing else."""
    for inputs in calls:
        networks.main(*inputs)


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--device", default="auto")
    asked = parser.parse_args()
    torch.set_num_threads(asked.threads)
    device = resolve_device(asked.device)
    first = Cell(MODEL, Guidance("none"), Sampler("euler", STEPS), 0, "balanced", "float32", "none")
    networks = load_networks(first, False, device)
    print(f"{MODEL}, {IMAGES} images, {STEPS} steps, median of {asked.rounds} rounds, {describe_device(device)}")
    print(f"{'rule':18} {'ms/image':>9} {'engine / calls':>14} {'quartiles':>15}")
    for name, guidance in RULES.items():
        cell = first._replace(guidance=guidance)
        calls = recorded(cell, networks, device)
        engine, plain = [], []
        for _ in range(asked.rounds + 1):
            engine.append(timed(partial(sample, cell, networks, range(IMAGES), device), device)[1])
            plain.append(timed(partial(bare, networks, calls), device)[1])
        ratios = [mine / theirs for mine, theirs in zip(engine[1:], plain[1:], strict=True)]
        low, middle, high = statistics.quantiles(ratios, n=4)
        print(f"{name:18} {1000 * statistics.median(engine[1:]) / IMAGES:9.1f} {middle:14.3f} {low:8.3f}-{high:.3f}")


if __name__ == "__main__":
    main()
