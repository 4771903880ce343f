"""What preference scorers have in common, and how one is loaded by its name. Torch comes with native ones only."""

from __future__ import annotations

import importlib
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

import numpy as np
from numpy.typing import NDArray

from sgbench.metrics.preference.catalogue import scorer_named
from sgbench.metrics.preference.environments import environment
from sgbench.metrics.preference.hps_package import load as load_package
from sgbench.metrics.preference.worker import WorkerScorer

if TYPE_CHECKING:
    import torch

NATIVE = {"hpsv2": "hps", "hpsv2.1": "hps", "clipscore": "clip_score", "pickscore": "pickscore"}
PACKAGE = "hpsv2-package"


class PreferenceScorer(Protocol):
    """Pairs to raw scores; `name` is its entry in the catalogue."""

    name: str

    def __call__(self, images: Sequence[NDArray[np.uint8]], prompts: Sequence[str]) -> NDArray[np.float64]:
        """One raw score (n,) for each pair, in order; images uint8 (H, W, 3) of any sizes.

        A score depends on its own pair only. Raises UserError for pairs of another kind, NoScoreError or WorkerError
        where there is no score.
        """


def load_scorer(name: str, paths: Sequence[Path], device: torch.device) -> PreferenceScorer:
    """A scorer from its verified weight files, in the catalogue's order.

    Raises UserError for a name that is none, a file of another network, a package or an environment that is missing.
    """
    scorer = scorer_named(name)
    if scorer.requirements:
        return WorkerScorer(name, environment(name), paths, str(device))
    if name == PACKAGE:
        return load_package(name, paths, str(device))
    native = importlib.import_module(f"sgbench.metrics.preference.{NATIVE[name]}")
    loaded: PreferenceScorer = native.load(name, paths[0], device)
    return loaded
