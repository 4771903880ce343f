"""Is a sparse call as much faster as its multiply-accumulates promise?

For each gamma, the time of one denoiser call over that of a dense one, measured in turn within one process, beside
the same ratio in MACs. Run: .venv/bin/python tests/bench/sparse_call.py [model]
"""

from __future__ import annotations

import statistics
import sys

import torch

from sgbench.cost.clock import timed
from sgbench.cost.closed_form import call_macs, kept_tokens
from sgbench.models import catalogue
from sgbench.models.build import build

GAMMAS = (0.0, 0.3, 0.5, 0.7, 0.9)
BATCH, ROUNDS = 125, 15
CPU = torch.device("cpu")


def main() -> None:
    name = sys.argv[1] if len(sys.argv) > 1 else "fashion-routing"
    architecture = catalogue.entry(name).architecture
    model = build(architecture).eval()
    x, t = torch.randn(BATCH, *architecture.sample_shape), torch.full((BATCH,), 0.5)
    labels = torch.zeros(BATCH, dtype=torch.long)
    seconds: dict[float, list[float]] = {gamma: [] for gamma in GAMMAS}
    with torch.inference_mode(), torch.autocast("cpu", torch.bfloat16):
        for _ in range(ROUNDS + 1):
            for gamma in GAMMAS:
                kept = kept_tokens(architecture.grid_tokens, gamma)
                tokens = None if gamma == 0 else torch.rand(BATCH, architecture.grid_tokens).argsort(1)[:, :kept]
                seconds[gamma].append(timed(lambda tokens=tokens: model(x, t, labels, tokens), CPU)[1])
    print(f"{name}, batch {BATCH}, bfloat16 autocast, {torch.get_num_threads()} threads, median of {ROUNDS}")
    print("gamma  time/dense  MACs/dense")
    for gamma in GAMMAS:
        pairs = zip(seconds[gamma][1:], seconds[0.0][1:], strict=True)
        ratio = statistics.median(mine / dense for mine, dense in pairs)
        macs = call_macs(architecture, gamma).macs / call_macs(architecture, 0).macs
        print(f"{gamma:5.2f}  {ratio:10.2f}  {macs:10.2f}")


if __name__ == "__main__":
    main()
