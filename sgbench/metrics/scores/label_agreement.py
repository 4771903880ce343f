"""How often the packaged classifier predicts the class that an image was generated for."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sgbench.metrics.metric import ImageMetric

if TYPE_CHECKING:
    from sgbench.metrics.metric import Features, Values


def agreement(classes: Features, labels: Values) -> Values:
    """Whether predicted classes (n,) or (n, 1) are the labels (n,)."""
    return classes.reshape(len(labels)) == labels


METRICS = (
    ImageMetric(
        "label_agreement",
        "label agreement",
        "higher",
        "fashion-cnn",
        "share of images classified as the class asked for",
        output="classes",
        needs="labels",
        rank=70,
        quality=False,
        prominent=False,
        portable=True,
        values=agreement,
    ),
)
