"""Inception Score (Salimans et al., arXiv 1606.03498) as ADM's evaluator computes it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from sgbench.metrics.metric import FeatureMetric, Fields, Needs, fields

if TYPE_CHECKING:
    from sgbench.metrics.metric import Computer, Features, ImageSetInfo

VARIANT = "Inception Score: exp of the mean KL divergence, logits without bias, splits of 5,000, float64"


@dataclass(frozen=True)
class InceptionScore(FeatureMetric):
    """It needs no reference."""

    works: tuple[str, ...] = ("salimans2016inception",)
    output: str = "logits"
    needs: Needs = ""
    rank: int = 30

    def score(self, features: Features, info: ImageSetInfo, computer: Computer) -> Fields:
        from sgbench.metrics.numerics.inception_score import inception_score

        return fields(inception_score(features), info.where)


METRICS = (InceptionScore("inception_score", "IS", "higher", "inception", VARIANT),)
