"""HPSv2 and HPSv2.1 (Wu et al., arXiv 2306.09341): open_clip's ViT-H-14 with their weights and their view of an image.

The score is the raw cosine, as `hpsv2.score` gives it; the benchmark's tables show 100 times that. Always in float32:
the package runs in float16 autocast on CUDA, which leaves about three digits of a score.
"""

from __future__ import annotations

from pathlib import Path

import torch

from sgbench.metrics.preference.cosine import Config, CosineScorer, build, published, raw
from sgbench.metrics.preference.inputs import longest_side
from sgbench.networks.checkpoints import read_state

MODEL = "ViT-H-14"


def load(name: str, path: Path, device: torch.device, config: Config | None = None) -> CosineScorer:
    """The scorer from its checkpoint, bare or under `state_dict`, with or without the prefix `module.`.

    `config` is of open_clip's kind, for a network of another size. Raises UserError for a file that is not of it.
    """
    network = build(config or published(MODEL), read_state(path), str(path))
    return CosineScorer(name, network, longest_side, raw, device)
