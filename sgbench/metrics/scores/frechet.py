"""Frechet distance between the features of two sets (Heusel et al., arXiv 1706.08500)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from sgbench.metrics.metric import FeatureMetric, Fields, Needs, fields

if TYPE_CHECKING:
    from sgbench.metrics.metric import Computer, Features, ImageSetInfo

VARIANT = "Frechet distance of Gaussian fits (ddof 1), float64"


@dataclass(frozen=True)
class FrechetDistance(FeatureMetric):
    """Called FID in Inception's features only."""

    works: tuple[str, ...] = ("heusel2017fid",)
    needs: Needs = "mean"
    rank: int = 10
    quality: bool = True
    prominent: bool = True
    corrected: bool = True

    def score(self, features: Features, info: ImageSetInfo, computer: Computer) -> Fields:
        from sgbench.metrics.numerics.frechet import frechet_estimate

        extractor = computer.extractor(self.key)
        estimate = frechet_estimate(features, computer.target(extractor, self.output))
        return {**fields(estimate, info.where), **computer.floor_fields(extractor, self.output, info)}


METRICS = (
    FrechetDistance("fd", "FD[fashion-cnn]", "lower", "fashion-cnn", VARIANT, portable=True),
    FrechetDistance("fd_lite0", "FD[lite0]", "lower", "lite0", VARIANT),
    FrechetDistance("fd_dinov2", "FD[dinov2]", "lower", "dinov2", VARIANT, ("heusel2017fid", "stein2023exposing")),
    FrechetDistance("fid", "FID", "lower", "inception", VARIANT),
    FrechetDistance("fid_clean", "clean-FID", "lower", "inception-clean", VARIANT),
    FrechetDistance("sfid", "sFID", "lower", "inception", VARIANT, ("heusel2017fid", "nash2021sfid"), "spatial"),
)
