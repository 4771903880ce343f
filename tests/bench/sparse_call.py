"""Is a sparse call as much faster as its multiply-accumulates promise?

For each gamma, the speed-up of one denoiser call over a dense one, measured in turn within one process, beside the
ratio of their MACs.
Run: .venv/bin/python tests/bench/sparse_call.py [MODEL...] [--batch 8] [--rounds 5] [--dtype bfloat16]
"""

from __future__ import annotations

import argparse
import statistics

import torch

from sgbench.cells.closed_form import call_macs
from sgbench.cost.measured import timed
from sgbench.guidance.subset_rules import kept_tokens
from sgbench.models import catalogue
from sgbench.models.families.microdit import MicroDiTArchitecture
from sgbench.networks.loading import load_network
from sgbench.run.device import describe_device, resolve_device

GAMMAS = (0.0, 0.5, 0.75, 0.9)
MODELS = ["tread-sit S/2 256 weights=random", "tread-sit XL/2 256 weights=random"]


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("models", nargs="*", default=MODELS)
    parser.add_argument("--batch", type=int, default=8)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--dtype", choices=["float32", "bfloat16"], default="float32")
    parser.add_argument("--device", default="auto")
    asked = parser.parse_args()
    device = resolve_device(asked.device)
    print(f"batch {asked.batch}, {asked.dtype}, median of {asked.rounds} rounds, {describe_device(device)}")
    for name in asked.models:
        compare(name, asked.batch, asked.rounds, asked.dtype, device)


def compare(name: str, batch: int, rounds: int, dtype: str, device: torch.device) -> None:
    """Print speed-up, its ideal and the share reached, gamma by gamma."""
    entry = catalogue.entry(name)
    a = entry.architecture
    assert not isinstance(a, MicroDiTArchitecture)
    network = load_network(entry, "main", device)
    x = torch.randn(batch, *a.sample_shape, device=device)
    t, labels = torch.full((batch,), 0.5, device=device), torch.zeros(batch, dtype=torch.long, device=device)
    seconds: dict[float, list[float]] = {gamma: [] for gamma in GAMMAS}
    with torch.inference_mode(), torch.autocast(device.type, torch.bfloat16, enabled=dtype == "bfloat16"):
        for _ in range(rounds + 1):
            for gamma in GAMMAS:
                order = torch.rand(batch, a.grid_tokens, device=device).argsort(1)
                tokens = order[:, : kept_tokens(a.grid_tokens, gamma)] if gamma else None
                seconds[gamma].append(timed(lambda tokens=tokens: network(x, t, labels, tokens), device)[1])  # type: ignore[misc]
    print(f"\n{name}")
    print("gamma  speed-up  ideal  share reached")
    for gamma in GAMMAS[1:]:
        # The first round warms up.
        pairs = zip(seconds[0.0][1:], seconds[gamma][1:], strict=True)
        speedup = statistics.median(dense / sparse for dense, sparse in pairs)
        ideal = call_macs(a, 0).macs / call_macs(a, gamma).macs
        print(f"{gamma:5.2f}  {speedup:8.2f}  {ideal:5.2f}  {speedup / ideal:13.0%}")


if __name__ == "__main__":
    main()
