"""Human preference, as networks that were trained on it predict it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from sgbench.metrics.metric import Fields, TextMetric
from sgbench.metrics.preference.catalogue import SCORERS, Scorer

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from sgbench.images.sets import ImageSetInfo


@dataclass(frozen=True)
class Preference(TextMetric):
    """Mean over images, and over those of each group of prompts."""

    rank = 90

    def score(self, values: NDArray[Any], info: ImageSetInfo) -> Fields:
        from sgbench.metrics.numerics.prompts import preference, text_fields

        return text_fields(preference, self.factor * values, info)


def _forms(scorer: Scorer) -> list[Preference]:
    """A scorer's raw values, and the form of published tables where it is another one."""
    key = scorer.name.replace("-", "_")
    forms = [(key, scorer.unit, 1.0)]
    if scorer.factor != 1:
        forms.append((f"{key}_x{scorer.factor:g}", f"{scorer.factor:g} x {scorer.unit}", scorer.factor))
    title = scorer.title.partition(" (")[0]
    return [
        Preference(name, f"{title}, {unit}", "higher", scorer.name, f"mean of {unit} over images", factor=factor)
        for name, unit, factor in forms
    ]


METRICS = tuple(form for scorer in SCORERS.values() for form in _forms(scorer))
