"""Inception Score as ADM's evaluator takes it: exp of the mean KL divergence of p(y|x) from p(y), over splits of 5,000.

Salimans et al. (arXiv 1606.03498). In float64; logits are those of the 2015 graph without bias.
"""

import math
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.special import log_softmax

from sgbench.stats.estimates import Estimate, group_bounds, jackknife

SPLIT = 5000
Matrix = NDArray[np.float64]


class _Sums(NamedTuple):
    """Over some images: their number, sum of p(y|x) (C,), sum of the mean of log p(y|x) under it."""

    number: int
    chance: Matrix
    entropy: float


def inception_score(logits: NDArray[np.floating], split: int = SPLIT) -> Estimate:
    """Mean over splits of logits (N, C) in sample order, with its jackknife error.

    A replicate leaves a group out of its splits; the splits themselves stay, so replicates differ by the group alone.
    The score rises with the number of images in a split: compare equal N only.
    """
    logs = log_softmax(logits.astype(np.float64), axis=1)
    chances = np.exp(logs)
    entropies = np.einsum("nc,nc->n", chances, logs)
    splits = [(start, min(start + split, len(logits))) for start in range(0, len(logits), split)]
    whole = [_part(chances, entropies, start, stop) for start, stop in splits]

    def score(left_out: tuple[int, int]) -> float:
        scores = []
        for (start, stop), sums in zip(splits, whole, strict=True):
            first = min(max(start, left_out[0]), stop)
            last = max(min(stop, left_out[1]), first)
            gone = _part(chances, entropies, first, last)
            kept = _Sums(sums.number - gone.number, sums.chance - gone.chance, sums.entropy - gone.entropy)
            # A split that consists of one group is left out with it.
            if kept.number:
                scores.append(_score(kept))
        return float(np.mean(scores))

    return jackknife(score((0, 0)), [score(bounds) for bounds in group_bounds(len(logits))])


def _part(chances: Matrix, entropies: Matrix, start: int, stop: int) -> _Sums:
    return _Sums(stop - start, chances[start:stop].sum(axis=0), float(entropies[start:stop].sum()))


def _score(sums: _Sums) -> float:
    mean = (sums.chance / sums.number).clip(min=np.finfo(np.float64).tiny)
    return math.exp(sums.entropy / sums.number - float(mean @ np.log(mean)))
