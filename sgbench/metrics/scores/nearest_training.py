"""Distance to the nearest training image, a memorisation check; neither end is good.

Copies are far closer than unseen real images, and bad images are farther away than good ones.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from sgbench.metrics.metric import HOME, FeatureMetric, Fields, Needs, fields

if TYPE_CHECKING:
    from sgbench.metrics.metric import Computer, Features, ImageSetInfo

VARIANT = "mean Euclidean distance to the nearest training image, float32"


@dataclass(frozen=True)
class NearestTraining(FeatureMetric):
    """Reported with the same mean for real images held out of training, where the reference has them."""

    needs: Needs = "training"
    rank: int = 100

    def score(self, features: Features, info: ImageSetInfo, computer: Computer) -> Fields:
        from sgbench.stats.estimates import mean_estimate

        training, held_out = computer.training(computer.extractor(self.key))
        estimate = mean_estimate(training.distances(features))
        return {**fields(estimate, info.where), "floor": held_out, "floor_sd": None}


METRICS = (NearestTraining("nearest_train", "nearest training image", "", HOME, VARIANT),)
