"""From features to scores; what is the same for all sets of images is prepared once."""

from collections.abc import Callable, Iterable
from functools import cache
from typing import Any, TypeVar, assert_never

import torch
from numpy.typing import NDArray

from sgbench.base.errors import UserError
from sgbench.base.progress import Progress
from sgbench.images.sets import ImageSetInfo
from sgbench.metrics.catalogue import METRICS, feature_metrics
from sgbench.metrics.extract import Loaded, load_extractor
from sgbench.metrics.metric import HOME, Fields, Metric
from sgbench.metrics.numerics.frechet import Target, prepare_target
from sgbench.metrics.numerics.neighbours import DENSITY_K, PRECISION_K, Real, Training, prepare_real
from sgbench.metrics.numerics.values import labels_of
from sgbench.metrics.protocols import extractor_of
from sgbench.metrics.references.reference import Reference, floor
from sgbench.metrics.weights import extractor_digest

T = TypeVar("T")


class Computer:
    """What metrics of features need besides them: the reference, if any, and the extractors.

    `loaded` gives an extractor ready to run, by its name; each is loaded once.
    """

    def __init__(
        self, reference: Reference | None, metrics: Iterable[str], device: torch.device, progress: Progress
    ) -> None:
        self._reference, self.device = reference, device
        self.loaded: Callable[[str], Loaded] = cache(lambda name: load_extractor(name, device))
        self._prepared: dict[tuple[str, ...], Any] = {}
        for metric in feature_metrics(metrics):
            chosen, extractor = METRICS[metric], self.extractor(metric)
            extractor_digest(extractor)
            if chosen.needs not in ("", "labels"):
                self.reference.require(extractor, chosen.output, chosen.needs, self.loaded, progress)

    @property
    def reference(self) -> Reference:
        """What images are compared with."""
        assert self._reference is not None, "checks of the suite and of --reference let no such metric through"
        return self._reference

    def extractor(self, metric: str) -> str:
        """The extractor that a metric is measured in against this reference."""
        return extractor_of(metric, self.reference.home if METRICS[metric].extractor == HOME else "")

    def given(self, metric: Metric, info: ImageSetInfo) -> tuple[NDArray[Any], ...]:
        """What a metric's function gets besides images or features, as its `needs` says."""
        match metric.needs:
            case "":
                return ()
            case "labels":
                return (labels_of(metric, info),)
            case "mean":
                return tuple(self.reference.moments(self.extractor(metric.key), metric.output))
            case "features":
                return (self.reference.features(self.extractor(metric.key), metric.output),)
            case "training":
                return (self.reference.training(self.extractor(metric.key), metric.output),)
            case _:
                assert_never(metric.needs)

    def target(self, extractor: str, output: str) -> Target:
        """The reference's moments, factored once."""
        return self._once(
            ("target", extractor, output), lambda: prepare_target(self.reference.moments(extractor, output))
        )

    def floor_fields(self, extractor: str, output: str, info: ImageSetInfo) -> Fields:
        """What the same number of real images scores, as it stands in scores.json; None where it is not known."""
        found = None
        if output == "features":
            target, key = self.target(extractor, output), ("floor", extractor, str(info.samples), info.label_policy)
            found = self._once(key, lambda: floor(self.reference, extractor, target, info.samples, info.label_policy))
        mean, deviation = found or (None, None)
        return {"floor": mean, "floor_sd": deviation}

    def prepared(self, what: str, extractor: str, prepare: Callable[[NDArray[Any], torch.device], T]) -> T:
        """What `prepare` makes of the reference's features, made once."""
        features = self.reference.features
        return self._once((what, extractor), lambda: prepare(features(extractor, "features"), self.device))

    def training(self, extractor: str) -> tuple[Training, float | None]:
        """The training images of the reference, and the mean distance of its held-out images to them."""

        def prepare() -> tuple[Training, float | None]:
            training = Training(self.reference.training(extractor, "features"), self.device)
            if not self.reference.has(extractor, "features", "features"):
                return training, None
            return training, float(training.distances(self.reference.features(extractor, "features")).mean())

        return self._once(("training", extractor), prepare)

    def together(self, function: Callable[[NDArray[Any], Real], T], extractor: str, features: NDArray[Any]) -> T:
        """A function of features and the reference's neighbours, cached for a second metric of the same features."""
        key = (function.__name__, extractor)
        last = self._prepared.get(key)
        if last is None or last[0] is not features:
            self._prepared[key] = last = (features, function(features, self._real(extractor)))
        return last[1]

    def _real(self, extractor: str) -> Real:
        ks = (PRECISION_K, DENSITY_K)

        def prepare() -> Real:
            real = self.reference.features(extractor, "features")
            if len(real) <= max(ks):
                raise UserError(
                    f"the reference {self.reference.name} has {len(real)} images, fewer than the {max(ks)}th "
                    "nearest neighbour needs",
                    where=str(self.reference.folder),
                    fix="use a larger reference",
                )
            return prepare_real(real, self.device, ks)

        return self._once(("real", extractor), prepare)

    def _once(self, key: tuple[str, ...], make: Callable[[], T]) -> T:
        if key not in self._prepared:
            self._prepared[key] = make()
        return self._prepared[key]
