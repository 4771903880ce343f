"""What a number means, in full: two scores of one metric compare only if all of this agrees. No torch."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable
from typing import TYPE_CHECKING, NamedTuple

from sgbench.base.errors import UserError
from sgbench.metrics.catalogue import METRICS
from sgbench.metrics.extractors import EXTRACTORS
from sgbench.metrics.metric import HOME
from sgbench.metrics.weights import extractor_digest, instrument_named

if TYPE_CHECKING:
    from sgbench.images.sets import ImageSetInfo
    from sgbench.metrics.references.reference import Reference


class Protocol(NamedTuple):
    """Everything that must agree before two values of a metric may be compared."""

    metric: str
    variant: str
    extractor: str
    extractor_sha256: str
    inputs: str
    quantisation: str
    samples: int
    labels: str
    reference: str
    reference_sha256: str
    prompts: str = ""
    """The prompt set; empty for class-conditional images."""
    prompts_sha256: str = ""
    code_sha256: str = ""
    """Of the code of a user's metric."""

    @property
    def id(self) -> str:
        """Twelve hexadecimal digits of the protocol's sha256.

        A reference and a prompt set count by their digests, whatever their names.
        """
        counted = list(self._replace(reference="", prompts=""))
        # Fields that were added later leave the ids of protocols that do not use them unchanged.
        counted = counted if self.code_sha256 else counted[:-1] if self.prompts_sha256 else counted[:-3]
        return hashlib.sha256(json.dumps(counted, separators=(",", ":")).encode()).hexdigest()[:12]

    def describe(self) -> str:
        """The protocol in one line."""
        against = f"; reference {self.reference} ({self.reference_sha256[:12]})" if self.reference_sha256 else ""
        asked = f"{self.labels} prompts of {self.prompts}" if self.prompts else f"{self.labels} labels"
        by = "judge" if METRICS[self.metric].text else "extractor"
        measured = f"; {by} {self.extractor} ({self.extractor_sha256[:12]}), {self.inputs}" if self.extractor else ""
        code = f" (code {self.code_sha256[:12]})" if self.code_sha256 else ""
        return (
            f"{METRICS[self.metric].title}: {self.variant}{code}{measured}; images {self.quantisation}; "
            f"N = {self.samples}, {asked}{against}"
        )


def extractor_of(metric: str, home: str) -> str:
    """The extractor of a metric, for a reference whose home extractor is `home`."""
    found = METRICS[metric].extractor
    return home if found == HOME else found


def differences(first: Protocol, second: Protocol) -> list[str]:
    """What differs between two protocols, in words; empty where values may be compared."""
    return [
        f"{name.replace('_', ' ')} {a!s:.60} against {b!s:.60}"
        for name, a, b in zip(Protocol._fields, first, second, strict=True)
        if a != b and name not in ("reference", "prompts")
    ]


def require_one(protocols: Iterable[Protocol], where: str, fix: str) -> Protocol:
    """The one protocol of several scores of a metric. Raises UserError naming the first difference."""
    first, *rest = {protocol.id: protocol for protocol in protocols}.values()
    for other in rest:
        raise UserError(
            f"{METRICS[first.metric].title} of different protocols is never compared: "
            + "; ".join(differences(first, other)),
            where=where,
            fix=fix,
        )
    return first


def from_record(record: object) -> Protocol | None:
    """A protocol as it stands in scores.json; None for one of an older version."""
    if not isinstance(record, dict):
        return None
    known = {**Protocol._field_defaults, **record}
    texts = all(isinstance(known[key], str) for key in known if key != "samples")
    ours = texts and set(known) == set(Protocol._fields) and known.get("metric") in METRICS
    return Protocol(**known) if ours else None


def protocol(metric: str, info: ImageSetInfo, reference: Reference | None) -> Protocol:
    """The protocol of a metric; those that compare nothing with a reference need none.

    Raises UserError where the extractor's weights are missing.
    """
    found, code = METRICS[metric], METRICS.origin(metric).sha256
    extractor, against, against_sha256 = found.extractor, "none", ""
    if found.against_reference:
        assert reference is not None
        extractor = extractor_of(metric, reference.home)
        if found.needs not in ("", "labels"):
            against, against_sha256 = reference.describe(extractor, found.output, found.needs), reference.sha256
    return Protocol(
        metric,
        found.variant,
        extractor,
        extractor_digest(extractor) if extractor else "",
        instrument_named(extractor).inputs if extractor else "",
        info.quantisation,
        info.samples,
        info.label_policy,
        against,
        against_sha256,
        *((info.prompts.describe(), info.prompts.sha256) if info.prompts else ("", "")),
        # The code of a user's extractor is in its own digest.
        code_sha256="" if code == EXTRACTORS.origin(extractor).sha256 else code,
    )
