"""Is SG as much faster than CFG on the paper's text-to-image model as its multiply-accumulates promise?

TR-DiT at 512 pixels with random weights: CFG and SG at gamma 0.1 / 0.8 draw the same images in turn, by the engine and
without decoding. arXiv 2601.01608 prints 0.32 and 0.49 images a second (H200, bfloat16, 50 Euler steps): 1.53.
On a CPU with other work, processor time of one thread is steadier than the clock. Every step costs the same, so one
will do. `--depth` leaves out blocks, on and off the route in proportion.
Run: .venv/bin/python tests/bench/tr_dit.py [--depth 34] [--steps 1] [--images 2] [--rounds 5] [--dtype bfloat16]
"""

from __future__ import annotations

import argparse
import statistics
import time
from functools import partial

import torch

from sgbench.cells.cell import Cell
from sgbench.cells.closed_form import call_macs
from sgbench.cost.measured import summarise, timed
from sgbench.guidance.settings import Guidance
from sgbench.models import catalogue
from sgbench.models.families.tr_dit import TRDiTArchitecture
from sgbench.networks.denoiser import build
from sgbench.run.device import describe_device, resolve_device
from sgbench.samplers.settings import Sampler
from sgbench.sampling.conditions import NoCaptions
from sgbench.sampling.engine import sample
from sgbench.sampling.networks import Networks, keep_freed_memory

MODEL = "tr-dit XL/2 512 weights=random"
# Title, guidance, and the gammas of its two calls.
RULES = (("CFG", Guidance("cfg", 1.8), (0.0, 0.0)), ("SG 0.1 / 0.8", Guidance("sg", 1.8, 0.1, 0.8), (0.1, 0.8)))
PAPER_STEPS, PAPER_RATIO = 50, 0.49 / 0.32


def of_depth(depth: int) -> TRDiTArchitecture:
    """The described record, with blocks left out."""
    whole = catalogue.entry(MODEL).architecture
    assert isinstance(whole, TRDiTArchitecture)
    ((first, last),) = whole.routes
    after = whole.depth - 1 - last
    first, after = (round(blocks * depth / whole.depth) for blocks in (first, after))
    return TRDiTArchitecture(**{**whole.model_dump(), "depth": depth, "routes": ((first, depth - 1 - after),)})


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--depth", type=int, default=34)
    parser.add_argument("--steps", type=int, default=1)
    parser.add_argument("--images", type=int, default=2)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--threads", type=int, default=torch.get_num_threads())
    parser.add_argument("--dtype", choices=["float32", "bfloat16"], default="float32")
    parser.add_argument("--device", default="auto")
    asked = parser.parse_args()
    torch.set_num_threads(asked.threads)
    device = resolve_device(asked.device)
    if device.type == "cpu":
        keep_freed_memory()
    a = of_depth(asked.depth)
    with device:
        network = build(a).eval().requires_grad_(False)
    networks = Networks(network, None, NoCaptions(a.condition_shape, device))
    sampler = Sampler("euler", asked.steps)
    cells = [
        Cell(
            MODEL, rule, sampler, 0, "balanced", asked.dtype, autoencoder="none", prompts="shapes", text_encoder="none"
        )
        for _, rule, _ in RULES
    ]
    parameters = sum(parameter.numel() for parameter in network.parameters()) / 1e9
    print(f"{a.depth} blocks, routes {a.routes}, {parameters:.2f} billion parameters, {asked.dtype}")
    print(f"{describe_device(device)}, {torch.get_num_threads()} threads, {asked.images} images, {asked.steps} steps")
    taken: dict[str, list[list[float]]] = {"clock": [[], []], "processor": [[], []]}
    # The first round warms up.
    for _ in range(asked.rounds + 1):
        for number, cell in enumerate(cells):
            began = time.process_time()
            drawn, spent = timed(partial(sample, cell, networks, range(asked.images), device), device)
            for clock, seconds in (("clock", spent), ("processor", time.process_time() - began)):
                taken[clock][number].append(seconds / drawn.made / asked.steps)
    costs = [sum(call_macs(a, gamma).macs for gamma in gammas) for _, _, gammas in RULES]
    for (title, _, _), macs, rounds in zip(RULES, costs, taken["clock"], strict=True):
        median, low, high, _ = summarise(rounds[1:])
        print(f"{title:13} {macs / 1e9:.1f} GMACs, {median:.4g} s a step and image ({low:.4g} to {high:.4g})", end=", ")
        print(f"{1 / median / PAPER_STEPS:.3g} images a second at {PAPER_STEPS} steps")
    print(f"CFG / SG: {costs[0] / costs[1]:.3f} by multiply-accumulates, {PAPER_RATIO:.2f} in the paper")
    for clock, (cfg, sg) in taken.items():
        ratios = [dense / sparse for dense, sparse in zip(cfg[1:], sg[1:], strict=True)]
        print(f"CFG / SG: {statistics.median(ratios):.3f} by the {clock} ({min(ratios):.3f} to {max(ratios):.3f})")


if __name__ == "__main__":
    main()
