"""Extractors of features: every file here has EXTRACTORS, and no table lists them. No torch until one is loaded."""

from sgbench.base.discover import found
from sgbench.base.registry import Registry
from sgbench.metrics.instrument import Extractor
from sgbench.metrics.record import closed_extractor, extractor_record

_FOUND: list[Extractor] = [extractor for extractors in found(__name__, "EXTRACTORS") for extractor in extractors]
EXTRACTORS = Registry("extractor", Extractor, _FOUND, record=extractor_record, restore=closed_extractor)
