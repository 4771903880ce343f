"""The protocol under which this version scores, for given images and reference. No torch."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from sgbench.cells.prompts import PromptSet, load_prompts
from sgbench.images.sets import QUANTISATION, ImageSet
from sgbench.metrics.catalogue import METRICS, image_metrics
from sgbench.metrics.protocols import Protocol, extractor_of, inputs_of
from sgbench.metrics.references.load import load_reference
from sgbench.metrics.references.reference import Reference
from sgbench.metrics.weights import extractor_digest
from sgbench.suite.schema import Suite
from sgbench.suite.sweep import check_samples


class Facts(NamedTuple):
    """What of a set of images enters its protocols, and its labels."""

    where: str
    samples: int
    label_policy: str
    quantisation: str
    labels: NDArray[np.int64] | None
    prompts: PromptSet | None = None


def facts_of(images: ImageSet, labels: str | None = None) -> Facts:
    """The facts of a set; `labels` says the policy of one that comes without labels."""
    policy = labels if labels is not None and images.label_policy == "unknown" else images.label_policy
    return Facts(images.where, images.count, policy, images.quantisation, images.labels, images.prompts)


def protocol(metric: str, facts: Facts, reference: Reference | None) -> Protocol:
    """The protocol of a metric; those that judge prompts need no reference.

    Raises UserError where the extractor's weights are missing.
    """
    found = METRICS[metric]
    asked = (facts.prompts.describe(), facts.prompts.sha256) if facts.prompts else ("", "")
    if found.text:
        judge = found.extractor
        return Protocol(
            metric,
            found.variant,
            judge,
            extractor_digest(judge),
            inputs_of(judge),
            facts.quantisation,
            facts.samples,
            facts.label_policy,
            "none",
            "",
            *asked,
        )
    assert reference is not None
    extractor = extractor_of(metric, reference.home)
    what = "mean" if found.needs == "moments" else found.needs
    return Protocol(
        metric,
        found.variant,
        extractor,
        extractor_digest(extractor),
        inputs_of(extractor),
        facts.quantisation,
        facts.samples,
        facts.label_policy,
        reference.describe(extractor, found.output, what) if what else "none",
        reference.sha256 if what else "",
        *asked,
    )


def suite_protocols(suite: Suite) -> dict[str, Protocol]:
    """The protocol of each of a suite's metrics. Raises UserError for too few images, and where a reference or
    weights are not at hand.
    """
    if not suite.metrics:
        return {}
    check_samples(suite)
    prompts = load_prompts(suite.prompts, f"{suite.where}: prompts") if suite.prompts else None
    facts = Facts("", suite.samples, suite.labels, QUANTISATION, None, prompts)
    needed = bool(image_metrics(suite.metrics))
    reference = load_reference(suite.reference, f"{suite.where}: reference") if needed else None
    return {metric: protocol(metric, facts, reference) for metric in suite.metrics}
