"""What a metric is: name, protocol, direction, citation, computation. No torch, no numpy.

`ImageMetric` and `SetMetric` are made of one function each: standard errors, pairing, the protocol, columns and figures
come from here. Other metrics derive a class and compute their score themselves.
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, ClassVar, Literal

from sgbench.base.choices import require_choice
from sgbench.base.errors import NoScoreError
from sgbench.base.signatures import refusal_of
from sgbench.metrics.instrument import Extractor

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
Needs = Literal["mean", "features", "training", "labels", ""]
Fields = dict[str, Any]
GIVEN: dict[Needs, tuple[str, ...]] = {
    "": (),
    "labels": ("labels",),
    "features": ("real",),
    "training": ("real",),
    "mean": ("mean", "covariance"),
}
"""The arguments of a metric's function after the first, by what it needs."""


@dataclass(frozen=True)
class Metric(ABC):
    """One metric. `better` is lower, higher or empty where neither end is good."""

    key: str
    title: str
    better: Better
    extractor: str = ""
    """The network it is measured in, or the judge; empty where it is measured in the images themselves.

    An `Extractor` may stand for its name.
    """
    variant: str = ""
    """How it is computed, in words; part of every protocol."""
    works: tuple[str, ...] = ()
    """What to cite besides its network: keys of `report/citations/references.bib`."""
    output: str = "features"
    """The extractor's output that it uses."""
    needs: Needs = "features"
    """What it needs: of the reference the mean (with the covariance), the features, or those of the training images; or
    the label of each image. Empty for nothing."""
    rank: int = 1000
    """Its position in lists and among the columns of rows."""
    quality: bool = False
    """Whether it can stand as quality against compute; never without a direction."""
    prominent: bool = False
    """Whether reports mention it even where another metric is the quality."""
    corrected: bool = False
    """Whether rows also hold a value corrected for the bias of a finite number of images."""
    portable: bool = False
    """Whether it may be measured in a user's extractor: a suite writes `KEY@FILE.py:NAME`."""
    brings: Extractor | None = field(default=None, repr=False)
    """The extractor, where `extractor` was one and not a name."""

    text: ClassVar[bool] = False
    """Whether it judges an image by its prompt."""

    def __post_init__(self) -> None:
        require_choice(self.better, Better, "Metric.better")
        require_choice(self.needs, Needs, "Metric.needs")
        if isinstance(self.extractor, Extractor):
            object.__setattr__(self, "brings", self.extractor)
            object.__setattr__(self, "extractor", self.extractor.name)

    @property
    def against_reference(self) -> bool:
        """Whether it compares images with a reference, or is measured in the reference's own extractor."""
        return self.needs in ("mean", "features", "training") or self.extractor == HOME


@dataclass(frozen=True)
class FeatureMetric(Metric):
    """A metric of a set of images, computed from features of its extractor."""

    @abstractmethod
    def score(self, features: Features, info: ImageSetInfo, computer: Computer) -> Fields:
        """A score as it stands in scores.json, from one output of the extractor (N, ...) in sample order."""


@dataclass(frozen=True, kw_only=True)
class ImageMetric(FeatureMetric):
    """The mean over images of a value of each.

    `values(x)` gives numbers (n,) for images uint8 (n, H, W, C), or for an output (n, ...) of the extractor where there
    is one. Further arguments are what `needs` names: `labels` (n,); `real` features (M, D) or those of training images;
    `mean` (D,) and `covariance` (D, D). The value of an image must not depend on the images beside it. The standard
    error is that of a mean, clustered by prompt for images of prompts.
    """

    values: Callable[..., Any]
    needs: Needs = ""
    quality: bool = True
    prominent: bool = True

    def __post_init__(self) -> None:
        super().__post_init__()
        _check_function(self, self.values)
        if not self.variant:
            object.__setattr__(self, "variant", f"{described(self.values)}, mean over images")

    def score(self, features: Features, info: ImageSetInfo, computer: Computer) -> Fields:
        from sgbench.metrics.numerics.values import image_fields, image_values

        values = image_values(self, features, computer.given(self, info), info.where)
        return image_fields(values, info)


@dataclass(frozen=True, kw_only=True)
class SetMetric(FeatureMetric):
    """A value of all features together.

    `value(x)` gives a number for an output (N, ...) of the extractor; further arguments are as of `ImageMetric`. It is
    called once for all images and once without each of 20 groups of them: the standard error is a jackknife's.
    """

    value: Callable[..., Any]
    needs: Needs = ""
    quality: bool = True
    prominent: bool = True

    def __post_init__(self) -> None:
        super().__post_init__()
        _check_function(self, self.value)
        if not self.extractor:
            raise ValueError("a SetMetric is a value of features: it needs an extractor")
        if not self.variant:
            object.__setattr__(self, "variant", described(self.value))

    def score(self, features: Features, info: ImageSetInfo, computer: Computer) -> Fields:
        from sgbench.metrics.numerics.values import set_estimate

        return fields(set_estimate(self, features, computer.given(self, info), info.where), info.where)


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
    quality: bool = True
    prominent: bool = True
    factor: float = 1.0
    """What a judge's raw values are multiplied by."""

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


def described(function: Callable[..., Any]) -> str:
    """A function in words: the first line of its docstring, or its name."""
    text = (function.__doc__ or "").strip().partition("\n")[0].rstrip(".")
    return text or str(getattr(function, "__name__", type(function).__name__))


def _check_function(metric: Metric, function: object) -> None:
    if not callable(function):
        raise ValueError(f"{metric.key} needs a function, not a {type(function).__name__}")
    if not metric.extractor and metric.against_reference:
        raise ValueError(f"{metric.key} needs {metric.needs} of the reference: it needs an extractor, too")
    given = ("features" if metric.extractor else "images", *GIVEN[metric.needs])
    taken = refusal_of(function, *given)
    if taken:
        raise ValueError(f"the function of {metric.key} takes {taken}: it is given ({', '.join(given)})")
    if metric.needs in ("features", "training") and metric.output != "features":
        raise ValueError(f"a reference keeps single images of the output `features` alone, not of {metric.output!r}")
