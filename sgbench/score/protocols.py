"""What a number means: metric variant, extractor, N, reference. Two scores compare only if these agree. No torch."""

from __future__ import annotations

import hashlib
import json
from typing import NamedTuple

from sgbench.zoo import weights


class Metric(NamedTuple):
    """One metric's name in tables, its better direction and what it was computed by."""

    title: str
    better: str
    variant: str


EXTRACTOR = "fashion-cnn"
NEIGHBOURS = 3
METRICS = {
    "fd": Metric(f"FD[{EXTRACTOR}]", "lower", "Frechet distance of Gaussian fits, float64"),
    "precision": Metric(
        "precision", "higher", f"improved precision (arXiv 1904.06991), k = {NEIGHBOURS}, float32 distances"
    ),
    "recall": Metric("recall", "higher", f"improved recall (arXiv 1904.06991), k = {NEIGHBOURS}, float32 distances"),
    "label_agreement": Metric("label agreement", "higher", "share of images classified as the class asked for"),
}
# Two images for each of ten jackknife groups.
MINIMUM_SAMPLES = dict.fromkeys(METRICS, 20)
# Reference name: what each metric compares with.
REFERENCES = {"fashion-mnist": {"fd": "60,000 training images", "other": "10,000 held-out images"}}
# Width of the reference's images in pixels.
REFERENCE_SIDES = {"fashion-mnist": 32}
REFERENCE_CARD = "fashion-reference"


class Protocol(NamedTuple):
    """Everything that must agree before two values of one metric may be compared."""

    metric: str
    variant: str
    extractor: str
    extractor_sha256: str
    quantisation: str
    samples: int
    labels: str
    reference: str
    reference_sha256: str

    @property
    def id(self) -> str:
        """Twelve hexadecimal digits of the protocol's sha256."""
        return hashlib.sha256(json.dumps(self, separators=(",", ":")).encode()).hexdigest()[:12]

    def describe(self) -> str:
        """The protocol in one line."""
        return (
            f"{METRICS[self.metric].title}: {self.variant}; extractor {self.extractor} "
            f"({self.extractor_sha256[:12]}); {self.quantisation}; N = {self.samples}, {self.labels} labels; "
            f"reference {self.reference} ({self.reference_sha256[:12]})"
        )


def protocol(metric: str, samples: int, labels: str, reference: str) -> Protocol:
    """The protocol under which this version of sgbench computes `metric`."""
    against = REFERENCES[reference]["fd" if metric == "fd" else "other"]
    if metric == "label_agreement":
        name, digest = "none", ""
    else:
        name, digest = f"{reference}, {against}", weights.checkpoint_sha256(REFERENCE_CARD)
    return Protocol(
        metric,
        METRICS[metric].variant,
        EXTRACTOR,
        weights.checkpoint_sha256(EXTRACTOR),
        "uint8, rounded and clamped",
        samples,
        labels,
        name,
        digest,
    )
