"""Extractors of features: every file here has EXTRACTORS, and no table lists them. No torch until one is loaded."""

from sgbench.base.discover import found
from sgbench.metrics.instrument import Extractor

_FOUND: list[Extractor] = [extractor for extractors in found(__name__, "EXTRACTORS") for extractor in extractors]
EXTRACTORS = {extractor.name: extractor for extractor in _FOUND}
