"""From features to scores: every metric of a pass, with what is the same for all sets of images prepared once."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from functools import partial
from typing import Any, Literal, assert_never

import numpy as np
import torch
from numpy.typing import NDArray

from sgbench.base.errors import NoScoreError, UserError
from sgbench.base.progress import Progress
from sgbench.metrics import density_coverage as dc
from sgbench.metrics import precision_recall as pr
from sgbench.metrics.catalogue import METRICS, MINIMUM
from sgbench.metrics.extractors.extract import Arrays, Loaded, load_extractor
from sgbench.metrics.frechet import Target, frechet_estimate, prepare_target
from sgbench.metrics.inception_score import inception_score
from sgbench.metrics.kernel_distance import KernelTarget, kernel_estimate, prepare_cmmd, prepare_kid
from sgbench.metrics.label_agreement import label_agreement
from sgbench.metrics.nearest_training import Training, nearest_training
from sgbench.metrics.neighbours import Real, prepare_real
from sgbench.metrics.protocols import Protocol, extractor_of
from sgbench.metrics.references.reference import Floor, Reference, alike, floor
from sgbench.metrics.weights import extractor_digest
from sgbench.score.expected import Facts, protocol
from sgbench.stats.jackknife import Estimate

Fields = dict[str, Any]


class Computer:
    """Scores sets of images against one reference. LPIPS needs pairs of images and is not among its metrics."""

    def __init__(self, reference: Reference, metrics: Iterable[str], device: torch.device, progress: Progress) -> None:
        self.reference, self.device = reference, device
        self.metrics = [m for m in metrics if METRICS[m].kind != "lpips"]
        self._loaded: dict[str, Loaded] = {}
        self._prepared: dict[tuple[str, ...], Any] = {}
        for metric in self.metrics:
            needs = METRICS[metric].needs
            extractor = self.extractor(metric)
            extractor_digest(extractor)
            if needs:
                what = "mean" if needs == "moments" else needs
                reference.require(extractor, METRICS[metric].output, what, partial(self._of_reference, progress))

    def extractor(self, metric: str) -> str:
        """The extractor that a metric is measured in against this reference."""
        return extractor_of(metric, self.reference.home)

    def extractors(self, metrics: Iterable[str]) -> list[str]:
        """The extractors that some metrics need, each once."""
        return list(dict.fromkeys(self.extractor(m) for m in metrics if m in self.metrics))

    def loaded(self, extractor: str) -> Loaded:
        """An extractor ready to run."""
        if extractor not in self._loaded:
            self._loaded[extractor] = load_extractor(extractor, self.device)
        return self._loaded[extractor]

    def protocol(self, metric: str, facts: Facts) -> Protocol:
        """The protocol under which this version scores a set of images by a metric."""
        return protocol(metric, facts, self.reference)

    def compute(self, metrics: Iterable[str], features: Mapping[str, Arrays], facts: Facts) -> dict[str, Fields]:
        """Scores of a set of images from its features by extractor. Raises UserError for sets that have none."""
        if facts.samples < MINIMUM:
            raise NoScoreError(
                f"{facts.samples} images are too few: scores and their errors need {MINIMUM}",
                where=facts.where,
                fix="give more images",
            )
        for extractor, arrays in features.items():
            _check_spread(extractor, arrays, facts)
        return {metric: self._one(metric, features, facts) for metric in metrics}

    def _one(self, metric: str, features: Mapping[str, Arrays], facts: Facts) -> Fields:
        kind, output, extractor = METRICS[metric].kind, METRICS[metric].output, self.extractor(metric)
        found = features[extractor][output]
        told = partial(fields, where=facts.where)
        match kind:
            case "frechet":
                target = self.target(extractor, output)
                lowest = self.floor(extractor, output, facts)
                return {**told(frechet_estimate(found, target)), **_floor_fields(lowest)}
            case "kid" | "cmmd":
                return told(kernel_estimate(found, self._kernel(kind, extractor)))
            case "precision" | "recall":
                return told(getattr(self._pair(pr.precision_recall, extractor, found), kind))
            case "density" | "coverage":
                return told(getattr(self._pair(dc.density_coverage, extractor, found), kind))
            case "inception_score":
                return told(inception_score(found))
            case "nearest_train":
                training, held_out = self._training(extractor)
                return {**told(nearest_training(found, training)), "floor": held_out, "floor_sd": None}
            case "label_agreement":
                return told(label_agreement(found, _labels(facts)))
            case "lpips" | "composition" | "preference":
                raise ValueError(f"{metric} is not made from features")
            case _:
                assert_never(kind)

    def target(self, extractor: str, output: str) -> Target:
        """The reference's moments, factored once."""
        return self._once(
            ("target", extractor, output), lambda: prepare_target(self.reference.moments(extractor, output))
        )

    def floor(self, extractor: str, output: str, facts: Facts) -> Floor | None:
        """What as many real images score, where the reference can say."""
        if output != "features":
            return None

        def find() -> Floor | None:
            found = floor(self.reference, extractor, target, facts.samples, facts.label_policy)
            # Of fewer images it would be another number.
            return found if found is not None and found.images == facts.samples else None

        key = ("floor", extractor, str(facts.samples), facts.label_policy)
        target = self.target(extractor, output)
        return self._once(key, find)

    def _real(self, extractor: str) -> Real:
        ks = (pr.NEIGHBOURS, dc.NEIGHBOURS)

        def prepare() -> Real:
            real = self.reference.features(extractor, "features")
            if len(real) <= max(ks):
                raise UserError(
                    f"the reference {self.reference.name} has {len(real)} images, and neighbours up to the "
                    f"{max(ks)}th are looked for",
                    where=str(self.reference.folder),
                    fix="give a larger reference",
                )
            return prepare_real(real, self.device, ks)

        return self._once(("real", extractor), prepare)

    def _kernel(self, kind: Literal["kid", "cmmd"], extractor: str) -> KernelTarget:
        prepare = prepare_kid if kind == "kid" else prepare_cmmd
        real = self.reference.features
        return self._once((kind, extractor), lambda: prepare(real(extractor, "features"), self.device))

    def _training(self, extractor: str) -> tuple[Training, float | None]:
        def prepare() -> tuple[Training, float | None]:
            training = Training(self.reference.training(extractor, "features"), self.device)
            if not self.reference.has(extractor, "features", "features"):
                return training, None
            return training, float(training.distances(self.reference.features(extractor, "features")).mean())

        return self._once(("training", extractor), prepare)

    def _pair(self, function: Any, extractor: str, found: NDArray[Any]) -> Any:
        """Two metrics that are computed together, remembered for the second."""
        key = (function.__name__, extractor)
        last = self._prepared.get(key)
        if last is None or last[0] is not found:
            self._prepared[key] = last = (found, function(found, self._real(extractor)))
        return last[1]

    def _once(self, key: tuple[str, ...], make: Any) -> Any:
        if key not in self._prepared:
            self._prepared[key] = make()
        return self._prepared[key]

    def _of_reference(self, progress: Progress, extractor: str) -> Arrays:
        source = self.reference.source
        assert source is not None
        progress.say(f"reference {self.reference.name}: {extractor} of {source.count} images")
        return self.loaded(extractor)(source.parts(), source.where)


def fields(estimate: Estimate, where: str) -> Fields:
    """An estimate as it stands in scores.json. Raises UserError for a value that is no number."""
    if not all(map(math.isfinite, (estimate.value, estimate.standard_error))):
        raise NoScoreError("a score is not finite", where=where, fix="look at the images")
    return {
        "value": estimate.value,
        "standard_error": estimate.standard_error,
        "corrected": estimate.corrected,
        "replicates": list(estimate.replicates),
    }


def _labels(facts: Facts) -> NDArray[np.int64]:
    if facts.labels is None:
        raise UserError(
            "label agreement needs the labels that were asked for, and none come with these images",
            where=facts.where,
            fix="give an npz with arr_1 or a cell, or leave label_agreement out",
        )
    return facts.labels


def _floor_fields(found: Floor | None) -> Fields:
    if found is None:
        return {"floor": None, "floor_sd": None}
    return {"floor": found.mean, "floor_sd": None if math.isnan(found.deviation) else found.deviation}


def _check_spread(extractor: str, arrays: Arrays, facts: Facts) -> None:
    features = arrays.get("features")
    if features is not None and alike(features):
        raise NoScoreError(
            f"all {facts.samples} images have the same features of {extractor}: they do not differ",
            where=facts.where,
            fix="look at the images before scoring them",
        )
