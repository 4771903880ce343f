"""Score one set of images after another, a cell's or another tool's: one pass for each extractor and judge."""

import hashlib
from collections.abc import Iterable, Sequence
from contextlib import ExitStack
from functools import cached_property

import numpy as np
import torch
from numpy.typing import NDArray

from sgbench.base.errors import NoScoreError
from sgbench.base.progress import Progress
from sgbench.cells.prompts import Prompt, PromptSet
from sgbench.images.files import Images
from sgbench.images.sets import ImageSet, ImageSetInfo, Seen, check_against, look
from sgbench.metrics.catalogue import METRICS, feature_metrics, image_metrics
from sgbench.metrics.computer import Computer
from sgbench.metrics.judges.load import JudgeFn, Values, load_judge
from sgbench.metrics.metric import Fields, PairedMetric, TextMetric
from sgbench.metrics.references.load import load_reference
from sgbench.metrics.references.reference import Reference
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
        """What images are compared with; None where all metrics judge prompts."""
        return load_reference(*self._named) if image_metrics(self.metrics) else None

    @cached_property
    def computer(self) -> Computer:
        """What computes metrics of features."""
        assert self.reference is not None
        return Computer(self.reference, image_metrics(self.metrics), self.device, self.progress)

    def prepare(self) -> None:
        """Load what every metric needs, so that missing files are reported before the first set."""
        if self.reference is not None:
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
        """Scores by metric; and why a judge gave none, which does not affect the other metrics.

        `unguided` are the images of the same seeds, for metrics that compare with them. Raises IncompleteError where
        images of a cell are missing, NoScoreError where they have no score.
        """
        found: dict[str, Fields] = {}
        values: dict[str, Values] = {}
        failure: NoScoreError | None = None
        for metric in metrics:
            chosen = METRICS[metric]
            if isinstance(chosen, TextMetric):
                try:
                    if chosen.extractor not in values:
                        values[chosen.extractor] = self._values(chosen.extractor, images)
                    found[metric] = chosen.score(values[chosen.extractor], info)
                except IncompleteError:
                    raise
                except NoScoreError as error:
                    failure = failure or error
        computed = feature_metrics(metrics)
        if computed:
            load = self.computer.loaded
            features = {e: features_of(e, images, load) for e in self.computer.extractors(computed)}
            found |= self.computer.compute(computed, features, info)
        for metric in metrics:
            paired = METRICS[metric]
            if isinstance(paired, PairedMetric):
                assert unguided is not None
                network = self.computer.loaded(paired.extractor).network
                found[metric] = paired.score(network, images.parts(), unguided.parts(), info, self.device)
        return found, failure

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


def judged_name(judge: str, prompts: PromptSet) -> str:
    """What values depend on besides the images: the judge, its weights, and the prompts."""
    digest = hashlib.sha256(f"{extractor_id(judge)} {prompts.sha256}".encode()).hexdigest()[:16]
    return f"{judge}-{digest}"
