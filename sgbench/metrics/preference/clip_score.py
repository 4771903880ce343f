"""CLIPScore (Hessel et al., arXiv 2104.08718, section 3) with OpenAI's ViT-L/14: max(cosine, 0).

The paper multiplies by 2.5 and puts "A photo depicts" before a caption; text-to-image tables do neither and mostly
show 100 times the cosine, which is this scorer's benchmark form.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from sgbench.metrics.preference.cosine import Config, CosineScorer, build, published
from sgbench.metrics.preference.inputs import shortest_side
from sgbench.networks.checkpoints import read_state

# OpenAI trained with an approximation of GELU; weights read from a file do not say so, so the configuration does.
MODEL = "ViT-L-14-quickgelu"


def load(name: str, path: Path, device: torch.device, config: Config | None = None) -> CosineScorer:
    """The scorer from weights under open_clip's names; `config` is of open_clip's kind, for another size.

    Raises UserError for a file that is not of it.
    """
    network = build(config or published(MODEL), read_state(path), str(path))
    return CosineScorer(name, network, shortest_side, _positive, device)


def _positive(cosines: NDArray[np.float64]) -> NDArray[np.float64]:
    return np.maximum(cosines, 0)
