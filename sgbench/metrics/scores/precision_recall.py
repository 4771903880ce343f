"""Improved precision and recall (Kynkaanniemi et al., arXiv 1904.06991)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from sgbench.metrics.metric import HOME, FeatureMetric, Fields, fields

if TYPE_CHECKING:
    from sgbench.metrics.metric import Computer, Features, ImageSetInfo

PRECISION = "improved precision (arXiv 1904.06991), k = 3, <=, float32 distances"
RECALL = "improved recall (arXiv 1904.06991), k = 3, <=, float32 distances"


@dataclass(frozen=True)
class PrecisionRecall(FeatureMetric):
    """Either of the two, which are computed together."""

    works: tuple[str, ...] = ("kynkaanniemi2019precision",)
    rank: int = 40

    def score(self, features: Features, info: ImageSetInfo, computer: Computer) -> Fields:
        from sgbench.metrics.numerics.neighbours import precision_recall

        precision, recall = computer.together(precision_recall, computer.extractor(self.key), features)
        return fields(precision if self.variant == PRECISION else recall, info.where)


METRICS = tuple(
    PrecisionRecall(f"{name}{key}", f"{name}{title}", "higher", extractor, variant, portable=not key)
    for key, title, extractor in (("", "", HOME), ("_lite0", "[lite0]", "lite0"), ("_dinov2", "[dinov2]", "dinov2"))
    for name, variant in (("precision", PRECISION), ("recall", RECALL))
)
