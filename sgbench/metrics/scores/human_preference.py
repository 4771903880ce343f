"""Human preference, as predicted by networks trained on it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from sgbench.metrics.instrument import Judge
from sgbench.metrics.judges.catalogue import JUDGES
from sgbench.metrics.metric import Fields, TextMetric

if TYPE_CHECKING:
    from sgbench.metrics.metric import ImageSetInfo, Values


@dataclass(frozen=True)
class Preference(TextMetric):
    """Mean over images, overall and for each group of prompts."""

    rank: int = 90

    def score(self, values: Values, info: ImageSetInfo) -> Fields:
        from sgbench.metrics.numerics.prompts import preference, text_fields

        return text_fields(preference, self.factor * values, info)


def _forms(judge: Judge) -> list[Preference]:
    """A judge's raw values, and the form of published tables where that differs."""
    key = judge.name.replace("-", "_")
    forms = [(key, judge.unit, 1.0)]
    if judge.factor != 1:
        forms.append((f"{key}_x{judge.factor:g}", f"{judge.factor:g} x {judge.unit}", judge.factor))
    title = judge.title.partition(" (")[0]
    return [
        Preference(name, f"{title}, {unit}", "higher", judge.name, f"mean of {unit} over images", factor=factor)
        for name, unit, factor in forms
    ]


METRICS = tuple(form for judge in JUDGES.values() if judge.judges == "preference" for form in _forms(judge))
