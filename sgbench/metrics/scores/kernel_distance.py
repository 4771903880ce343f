"""Kernel distances: KID (Binkowski et al., arXiv 1801.01401) and CMMD (Jayasumana et al., arXiv 2401.09603)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from sgbench.metrics.metric import FeatureMetric, Fields, fields

if TYPE_CHECKING:
    from sgbench.metrics.metric import Computer, Features, ImageSetInfo

KID = "kernel distance: unbiased squared MMD, kernel (x.y / D + 1)^3, all pairs, float64"
CMMD = "squared MMD with every pair, Gaussian kernel of width 10, times 1,000, float64"


@dataclass(frozen=True)
class KernelDistance(FeatureMetric):
    """KID's polynomial kernel. Called KID in Inception's features only."""

    works: tuple[str, ...] = ("binkowski2018kid",)
    rank: int = 20
    quality: bool = True

    def score(self, features: Features, info: ImageSetInfo, computer: Computer) -> Fields:
        from sgbench.metrics.numerics import kernel_distance

        prepare = kernel_distance.prepare_kid if self.variant == KID else kernel_distance.prepare_cmmd
        target = computer.prepared(prepare.__name__, computer.extractor(self.key), prepare)
        return fields(kernel_distance.kernel_estimate(features, target), info.where)


@dataclass(frozen=True)
class Cmmd(KernelDistance):
    """CMMD's Gaussian kernel."""

    works: tuple[str, ...] = ("jayasumana2024cmmd",)
    corrected: bool = True


METRICS = (
    KernelDistance("kd", "KD[fashion-cnn]", "lower", "fashion-cnn", KID, portable=True),
    KernelDistance("kd_lite0", "KD[lite0]", "lower", "lite0", KID),
    KernelDistance("kid", "KID", "lower", "inception", KID),
    Cmmd("cmmd", "CMMD", "lower", "clip", CMMD),
)
