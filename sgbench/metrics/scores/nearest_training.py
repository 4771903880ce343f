"""Distance to the nearest training image, a memorisation check; neither end is good."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from sgbench.metrics.metric import HOME, FeatureMetric, Fields, Needs, fields

if TYPE_CHECKING:
    from sgbench.metrics.metric import Computer, Features, ImageSetInfo


@dataclass(frozen=True)
class NearestTraining(FeatureMetric):
    """Reported with the same mean for real images held out of training, where the reference has them."""

    needs: Needs = "training"

    rank = 100

    def score(self, features: Features, info: ImageSetInfo, computer: Computer) -> Fields:
        from sgbench.metrics.numerics.neighbours import nearest_training

        training, held_out = computer.training(computer.extractor(self.key))
        return {**fields(nearest_training(features, training), info.where), "floor": held_out, "floor_sd": None}


METRICS = (
    NearestTraining(
        "nearest_train",
        "nearest training image",
        "",
        HOME,
        "mean Euclidean distance to the nearest training image, float32",
    ),
)
