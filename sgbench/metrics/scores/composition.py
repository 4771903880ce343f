"""Composition: whether images show what their prompts say, by GenEval's rules (Ghosh et al., arXiv 2310.11513)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from sgbench.metrics.judges.catalogue import DRAWN, GENEVAL_JUDGE
from sgbench.metrics.metric import Fields, TextMetric

if TYPE_CHECKING:
    from sgbench.metrics.metric import ImageSetInfo, Values

VARIANT = "share of images that show what their prompt says, by GenEval's rules (arXiv 2310.11513), mean of tasks"


@dataclass(frozen=True)
class Composition(TextMetric):
    """Mean of the tasks, as GenEval's overall score."""

    works: tuple[str, ...] = ("ghosh2023geneval",)
    rank: int = 80

    def score(self, values: Values, info: ImageSetInfo) -> Fields:
        from sgbench.metrics.numerics.prompts import composition, text_fields

        return text_fields(composition, self.factor * values, info)


METRICS = (
    Composition("composition", "composition", "higher", DRAWN, VARIANT),
    Composition("geneval", "GenEval", "higher", GENEVAL_JUDGE, VARIANT),
)
