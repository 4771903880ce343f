"""The laws of metrics: a score is of a set of images in any order, with an error that more images make less."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property, lru_cache
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from sgbench.base.progress import Silent
from sgbench.cells.prompts import PromptSet, load_prompts
from sgbench.conformance.extractors import ExtractorCase, require_weights
from sgbench.conformance.law import (
    BrokenError,
    Law,
    NotApplicableError,
    require_no_global_randomness,
    seed_global_randomness,
)
from sgbench.conformance.pictures import CPU, pictures
from sgbench.images.sets import QUANTISATION, ImageSetInfo
from sgbench.metrics.computer import Computer
from sgbench.metrics.extract import Arrays
from sgbench.metrics.extractors import EXTRACTORS
from sgbench.metrics.metric import HOME, FeatureMetric, Fields, ImageMetric, Metric, PairedMetric, TextMetric
from sgbench.metrics.numerics.values import image_fields, image_values
from sgbench.metrics.references.load import load_reference
from sgbench.metrics.weights import extractor_digest

FEW, MANY = 60, 240
LABELS = 10
# Sums in another order; as a share of the value or of its error, whichever is larger.
ROUNDING = 1e-4
# Four times as many images halve an error. Errors of errors, and of distances to a reference, are themselves large.
SMALLER = 0.9
PACKAGED, DRAWN, PROMPTS = "fashion-mnist", "shapes", "shapes"
MEASURED_IN_PACKAGED = ("fashion-cnn", "lite0", HOME)


@dataclass(frozen=True)
class MetricCase:
    """A metric, and drawn images that it scores."""

    metric: Metric

    @cached_property
    def computer(self) -> Computer:
        """With a reference where it needs one. Raises NotApplicableError where weights are not on this machine."""
        name = self.metric.extractor
        if name not in ("", HOME):
            require_weights(name)
        reference = None
        if self.metric.against_reference:
            reference = load_reference(PACKAGED if name in MEASURED_IN_PACKAGED else DRAWN)
        return Computer(reference, [self.metric.key], CPU, Silent())

    @property
    def extractor(self) -> str:
        return self.computer.extractor(self.metric.key)

    @cached_property
    def prompts(self) -> PromptSet | None:
        return load_prompts(PROMPTS) if isinstance(self.metric, TextMetric) else None

    def images(self, numbers: Sequence[int]) -> NDArray[np.uint8]:
        known = EXTRACTORS.get(self.extractor) if self.metric.extractor else None
        return pictures(numbers) if known is None else ExtractorCase(known).images(numbers)

    def info(self, numbers: Sequence[int]) -> ImageSetInfo:
        count = LABELS if self.prompts is None else len(self.prompts.prompts)
        labels = np.asarray([number % count for number in numbers], dtype=np.int64)
        return ImageSetInfo("sgbench check", len(numbers), "balanced", QUANTISATION, labels, self.prompts)

    def x(self, numbers: Sequence[int]) -> NDArray[Any]:
        """What it is given for images by their numbers: features, images, or a judge's values."""
        if isinstance(self.metric, TextMetric):
            return np.random.default_rng(0).random(MANY)[list(numbers)]
        if not self.metric.extractor:
            return self.images(numbers)
        return outputs(self.extractor, extractor_digest(self.extractor))[self.metric.output][list(numbers)]

    def score(self, numbers: Sequence[int], x: NDArray[Any] | None = None) -> Fields:
        """Its score of images by their numbers."""
        seed_global_randomness()
        metric, info = self.metric, self.info(numbers)
        match metric:
            case TextMetric():
                return metric.score(self.x(numbers) if x is None else x, info)
            case PairedMetric():
                network, others = self.computer.loaded(metric.extractor).network, [n + MANY for n in numbers]
                return metric.score(network, [self.images(numbers)], [self.images(others)], info, CPU)
            case ImageMetric() if not metric.extractor:
                return image_fields(self.values(numbers), info)
            case FeatureMetric():
                return metric.score(self.x(numbers) if x is None else x, info, self.computer)
            case _:
                raise AssertionError(f"{metric.key} is of no known kind")

    def values(self, numbers: Sequence[int]) -> NDArray[np.float64]:
        """The value of each image, of a metric that has one."""
        assert isinstance(self.metric, ImageMetric)
        more = self.computer.given(self.metric, self.info(numbers))
        return image_values(self.metric, self.x(numbers), more, "sgbench check")


@lru_cache(maxsize=8)
def outputs(extractor: str, digest: str) -> Arrays:
    """Outputs of an extractor for all images that metrics are tried on; `digest` is of its code and weights."""
    case = ExtractorCase(EXTRACTORS[extractor])
    return case.loaded([case.images(range(MANY))], "sgbench check")


SOME: Final = range(FEW)


def _scores(case: MetricCase) -> None:
    found = case.score(SOME)
    for name in ("value", "standard_error"):
        number = found.get(name)
        if not isinstance(number, float | int) or not np.isfinite(number):
            raise BrokenError(f"{name} is {number}, not a finite number")
    if found["standard_error"] < 0:
        raise BrokenError(f"the standard error is {found['standard_error']:.3g}")


def _again(case: MetricCase) -> None:
    first = case.score(SOME)
    case.score(range(FEW, 2 * FEW))
    second = case.score(SOME)
    for name in ("value", "standard_error"):
        if first[name] != second[name]:
            raise BrokenError(f"the {name.replace('_', ' ')} is {first[name]:.9g} at first and then {second[name]:.9g}")


def _order(case: MetricCase) -> None:
    first, other = case.score(SOME), case.score(np.random.default_rng(0).permutation(FEW).tolist())
    apart = abs(first["value"] - other["value"])
    if apart > ROUNDING * max(abs(first["value"]), first["standard_error"]):
        raise BrokenError(f"the value is {first['value']:.6g}, and in another order {other['value']:.6g}")


def _alone(case: MetricCase) -> None:
    if not isinstance(case.metric, ImageMetric):
        raise NotApplicableError("it has no value of each image")
    whole = case.values(range(8))
    for number in (0, 3, 7):
        alone = float(case.values([number])[0])
        if abs(alone - whole[number]) > ROUNDING * max(abs(whole[number]), float(np.abs(whole).max())):
            raise BrokenError(f"image {number} has the value {alone:.6g} alone and {whole[number]:.6g} among 8")


def _error_falls(case: MetricCase) -> None:
    few, many = (case.score(range(count))["standard_error"] for count in (FEW, MANY))
    if few == 0:
        raise NotApplicableError("all images have the same value")
    if many > SMALLER * few:
        raise BrokenError(f"its standard error is {few:.3g} for {FEW} images and {many:.3g} for {MANY}")


def _inputs(case: MetricCase) -> None:
    if isinstance(case.metric, PairedMetric):
        raise NotApplicableError("it is given images in parts")
    given = case.x(SOME)
    before = given.copy()
    if isinstance(case.metric, ImageMetric):
        image_values(case.metric, given, case.computer.given(case.metric, case.info(SOME)), "sgbench check")
    else:
        case.score(SOME, given)
    if not np.array_equal(given, before):
        raise BrokenError(f"{int((given != before).sum())} of {given.size} values are changed in place")


def _random(case: MetricCase) -> None:
    case.score(SOME)
    require_no_global_randomness(lambda: case.score(SOME))


def _direction(case: MetricCase) -> None:
    if case.metric.quality and not case.metric.better:
        raise BrokenError('it stands as quality, and `better` is neither "lower" nor "higher"')


LAWS: Final[tuple[Law[MetricCase], ...]] = (
    Law("a score is a finite value with its standard error", _scores),
    Law("the same images have the same score, bit for bit", _again),
    Law("the order of the images does not matter", _order),
    Law("the value of an image does not depend on the images beside it", _alone),
    Law("more images make the standard error less", _error_falls),
    Law("it leaves what it is given as it is", _inputs),
    Law("it uses no global random state", _random),
    Law("what stands as quality has a direction", _direction),
)
