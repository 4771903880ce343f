"""Score one set of images after another, a cell's or another tool's: one pass for each extractor and judge."""

import hashlib
from collections.abc import Iterable, Sequence
from contextlib import ExitStack
from functools import cached_property
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from sgbench.base.errors import NoScoreError
from sgbench.base.progress import Progress
from sgbench.cells.prompts import Prompt, PromptSet
from sgbench.images.files import Images
from sgbench.images.sets import ImageSet, ImageSetInfo, Seen, check_against, look
from sgbench.metrics.catalogue import METRICS, MINIMUM, image_metrics
from sgbench.metrics.computer import Computer
from sgbench.metrics.judges.load import JudgeFn, Values, load_judge
from sgbench.metrics.metric import FeatureMetric, Fields, ImageMetric, Metric, PairedMetric, TextMetric
from sgbench.metrics.numerics.values import image_fields, image_values
from sgbench.metrics.references.load import load_reference
from sgbench.metrics.references.reference import Reference, alike
from sgbench.metrics.weights import extractor_id
from sgbench.score.cell_images import Arrays, IncompleteError, Labels, features_of, outputs


class SetScorer(ExitStack):
    """Scores sets of images by some metrics; networks and the reference are loaded when first needed.

    Judges that run in processes of their own end with its `with`.
    """

    def __init__(
        self, metrics: Sequence[str], reference: str, where: str, device: torch.device, progress: Progress
    ) -> None:
        super().__init__()
        self.metrics, self.device, self.progress = metrics, device, progress
        self._named = reference, where
        self._judges: dict[str, tuple[JudgeFn, ExitStack]] = {}

    @cached_property
    def reference(self) -> Reference | None:
        """What images are compared with; None where none is named, and where all metrics judge prompts."""
        named = self._named[0] and image_metrics(self.metrics)
        return load_reference(*self._named) if named else None

    @cached_property
    def computer(self) -> Computer:
        """What metrics of features need besides them."""
        return Computer(self.reference, image_metrics(self.metrics), self.device, self.progress)

    def prepare(self) -> None:
        """Load what every metric needs, so that missing files are reported before the first set."""
        if image_metrics(self.metrics):
            self.computer  # noqa: B018
        for metric in self.metrics:
            if METRICS[metric].text:
                self._judge(METRICS[metric].extractor)

    def look(self, images: ImageSet) -> Seen:
        """Read a set. Raises UserError where it has no score or cannot be compared with the reference."""
        seen, reference = look(images), self.reference
        if reference is not None:
            check_against(seen, reference.side, reference.channels, reference.name, images.where)
        return seen

    def score(
        self, images: ImageSet, info: ImageSetInfo, metrics: Sequence[str], unguided: ImageSet | None = None
    ) -> tuple[dict[str, Fields], NoScoreError | None]:
        """Scores by metric; and why the first without one has none, which does not affect the others.

        `unguided` are the images of the same seeds, for metrics that compare with them. Raises IncompleteError where
        images of a cell are missing.
        """
        found: dict[str, Fields] = {}
        failure: NoScoreError | None = None
        # What networks make of the images, for all metrics that use it.
        made: dict[str, Any] = {}
        for metric in metrics:
            try:
                found[metric] = self._score(METRICS[metric], images, info, made, unguided)
            except IncompleteError:
                raise
            except NoScoreError as error:
                failure = failure or error
        return found, failure

    def _score(
        self, metric: Metric, images: ImageSet, info: ImageSetInfo, made: dict[str, Any], unguided: ImageSet | None
    ) -> Fields:
        match metric:
            case TextMetric():
                if metric.extractor not in made:
                    made[metric.extractor] = self._values(metric.extractor, images)
                return metric.score(made[metric.extractor], info)
            case ImageMetric() if not metric.extractor:
                _require_enough(info)
                return image_fields(_pixel_values(metric, images, self.computer.given(metric, info)), info)
            case FeatureMetric():
                _require_enough(info)
                extractor = self.computer.extractor(metric.key)
                if extractor not in made:
                    made[extractor] = _differing(features_of(extractor, images, self.computer.loaded), extractor, info)
                return metric.score(made[extractor][metric.output], info, self.computer)
            case PairedMetric():
                assert unguided is not None
                network = self.computer.loaded(metric.extractor).network
                return metric.score(network, images.parts(), unguided.parts(), info, self.device)
            case _:
                raise AssertionError(f"{metric.key} is of no known kind")

    def _values(self, judge: str, images: ImageSet) -> Values:
        """A judge's values (N,) for images and their prompts."""
        asked = images.prompts
        assert asked is not None

        def compute(parts: Iterable[Images], labels: Labels | None) -> Arrays:
            assert labels is not None
            done, found = 0, []
            for part in parts:
                prompts = [asked.prompts[number] for number in labels[done : done + len(part)]]
                found.append(self._ask(judge, part, prompts))
                done += len(part)
            return {"values": np.concatenate(found)}

        return outputs(images, judged_name(judge, asked), compute)["values"]

    def _judge(self, name: str) -> JudgeFn:
        if name not in self._judges:
            stack = self.enter_context(ExitStack())
            self._judges[name] = load_judge(name, self.device, stack), stack
        return self._judges[name][0]

    def _ask(self, name: str, images: NDArray[np.uint8], prompts: Sequence[Prompt]) -> Values:
        """A judge's values. One that fails is dropped, so that the next cell gets a new one."""
        judge = self._judge(name)
        try:
            return judge(images, prompts)
        except BaseException as error:
            self._judges.pop(name)[1].__exit__(type(error), error, error.__traceback__)
            raise


def _require_enough(info: ImageSetInfo) -> None:
    if info.samples < MINIMUM:
        raise NoScoreError(
            f"{info.samples} images are too few: scores and their errors need {MINIMUM}",
            where=info.where,
            fix="give more images",
        )


def _differing(arrays: Arrays, extractor: str, info: ImageSetInfo) -> Arrays:
    """Outputs of an extractor. Raises NoScoreError where the features of all images are equal."""
    if "features" in arrays and alike(arrays["features"]):
        raise NoScoreError(
            f"all {info.samples} images have the same features of {extractor}: they do not differ",
            where=info.where,
            fix="look at the images before scoring them",
        )
    return arrays


def _pixel_values(metric: ImageMetric, images: ImageSet, more: tuple[NDArray[Any], ...]) -> NDArray[np.float64]:
    """A metric's value of each image (N,), part by part: all images together may be larger than the memory."""
    done, found = 0, []
    for part in images.parts():
        own = tuple(one[done : done + len(part)] for one in more)
        found.append(image_values(metric, part, own, images.where))
        done += len(part)
    return np.concatenate(found)


def judged_name(judge: str, prompts: PromptSet) -> str:
    """What values depend on besides the images: the judge, its weights, and the prompts."""
    digest = hashlib.sha256(f"{extractor_id(judge)} {prompts.sha256}".encode()).hexdigest()[:16]
    return f"{judge}-{digest}"
