"""What a metric is: name, protocol, direction, citation, computation. No torch, no numpy."""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar, Literal

from sgbench.base.choices import require_choice
from sgbench.base.errors import NoScoreError

if TYPE_CHECKING:
    from collections.abc import Iterable

    import numpy as np
    import torch
    from numpy.typing import NDArray

    # What the file of a metric needs for its types.
    from sgbench.images.sets import ImageSetInfo as ImageSetInfo
    from sgbench.metrics.computer import Computer as Computer
    from sgbench.stats.estimates import Estimate

    Features = NDArray[Any]
    Values = NDArray[Any]
    Parts = Iterable[NDArray[np.uint8]]

HOME = "home"
"""The extractor of a metric that is measured in the reference's home extractor."""
Better = Literal["lower", "higher", ""]
Needs = Literal["mean", "features", "training", ""]
Fields = dict[str, Any]


@dataclass(frozen=True)
class Metric(ABC):
    """One metric. `better` is lower, higher or empty where neither end is good."""

    key: str
    title: str
    better: Better
    extractor: str
    """The network it is measured in, or the judge."""
    variant: str
    """How it is computed, in words; part of every protocol."""
    works: tuple[str, ...] = ()
    """What to cite besides its network: keys of `report/citations/references.bib`."""
    output: str = "features"
    """The extractor's output that it uses."""
    needs: Needs = "features"
    """What it needs of the reference, `mean` with the covariance; empty for nothing."""

    rank: ClassVar[int] = 1000
    """Its position in lists and among the columns of rows."""
    quality: ClassVar[bool] = False
    """Whether it can stand as quality against compute."""
    prominent: ClassVar[bool] = False
    """Whether reports mention it even where another metric is the quality."""
    corrected: ClassVar[bool] = False
    """Whether rows also hold a value corrected for the bias of a finite number of images."""
    text: ClassVar[bool] = False
    """Whether it judges an image by its prompt."""

    def __post_init__(self) -> None:
        require_choice(self.better, Better, "Metric.better")
        require_choice(self.needs, Needs, "Metric.needs")


@dataclass(frozen=True)
class FeatureMetric(Metric):
    """A metric of a set of images, computed from features of its extractor."""

    @abstractmethod
    def score(self, features: Features, info: ImageSetInfo, computer: Computer) -> Fields:
        """A score as it stands in scores.json, from one output of the extractor (N, ...) in sample order."""


@dataclass(frozen=True)
class PairedMetric(Metric):
    """A metric that compares each image of a cell with the unguided image of the same seed."""

    @abstractmethod
    def score(self, network: Any, images: Parts, others: Parts, info: ImageSetInfo, device: torch.device) -> Fields:
        """A score as it stands in scores.json, by its extractor's network.

        `images` and `others` have the same seeds, in parts uint8 (n, H, W, C).
        """


@dataclass(frozen=True)
class TextMetric(Metric):
    """A metric of images and their prompts: a judge gives a value to each."""

    needs: Needs = ""
    factor: float = 1.0
    """What a judge's raw values are multiplied by."""

    quality = True
    prominent = True
    text = True

    @abstractmethod
    def score(self, values: Values, info: ImageSetInfo) -> Fields:
        """A score as it stands in scores.json, groups of prompts apart, from the judge's raw values (N,)."""


def fields(estimate: Estimate, where: str) -> Fields:
    """An estimate as it stands in scores.json. Raises NoScoreError for a value that is not finite."""
    if not all(map(math.isfinite, (estimate.value, estimate.standard_error))):
        raise NoScoreError("a score is not finite", where=where, fix="look at the images")
    return {
        "value": estimate.value,
        "standard_error": estimate.standard_error,
        "corrected": estimate.corrected,
        "replicates": list(estimate.replicates),
    }
