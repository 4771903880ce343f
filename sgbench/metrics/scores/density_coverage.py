"""Density and coverage (Naeem et al., arXiv 2002.09797)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from sgbench.metrics.metric import HOME, FeatureMetric, Fields, fields

if TYPE_CHECKING:
    from sgbench.metrics.metric import Computer, Features, ImageSetInfo

DENSITY = "density (arXiv 2002.09797), k = 5, <, float32 distances"
COVERAGE = "coverage (arXiv 2002.09797), k = 5, <, float32 distances"


@dataclass(frozen=True)
class DensityCoverage(FeatureMetric):
    """Either of the two, which are computed together."""

    works: tuple[str, ...] = ("naeem2020density",)
    rank: int = 50

    def score(self, features: Features, info: ImageSetInfo, computer: Computer) -> Fields:
        from sgbench.metrics.numerics.neighbours import density_coverage

        density, coverage = computer.together(density_coverage, computer.extractor(self.key), features)
        return fields(density if self.variant == DENSITY else coverage, info.where)


METRICS = tuple(
    DensityCoverage(f"{name}{key}", f"{name}{title}", "higher", extractor, variant, portable=not key)
    for key, title, extractor in (("", "", HOME), ("_lite0", "[lite0]", "lite0"), ("_dinov2", "[dinov2]", "dinov2"))
    for name, variant in (("density", DENSITY), ("coverage", COVERAGE))
)
