"""How often the packaged classifier predicts the class that an image was generated for."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from sgbench.base.errors import UserError
from sgbench.metrics.metric import FeatureMetric, Fields, Needs, fields

if TYPE_CHECKING:
    from sgbench.metrics.metric import Computer, Features, ImageSetInfo

VARIANT = "share of images classified as the class asked for"


@dataclass(frozen=True)
class LabelAgreement(FeatureMetric):
    """Share of images whose predicted class is their label."""

    output: str = "classes"
    needs: Needs = ""

    rank = 70

    def score(self, features: Features, info: ImageSetInfo, computer: Computer) -> Fields:
        from sgbench.stats.estimates import mean_estimate

        if info.labels is None:
            raise UserError(
                "label agreement needs the label of each image, and these images have none",
                where=info.where,
                fix="give an npz with arr_1 or a cell, or leave label_agreement out",
            )
        return fields(mean_estimate((features == info.labels).astype(float)), info.where)


METRICS = (LabelAgreement("label_agreement", "label agreement", "higher", "fashion-cnn", VARIANT),)
