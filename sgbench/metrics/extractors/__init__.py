"""Extractors of features: every file here has EXTRACTORS, and no table lists them. No torch until one is loaded."""

from sgbench.base.discover import found
from sgbench.base.registry import Origin, Registry
from sgbench.metrics.instrument import Extractor
from sgbench.metrics.record import closed_extractor, extractor_record


class Extractors(Registry[Extractor]):
    """The extractors by name; a metric stands for the extractor that it brings."""

    def add(self, thing: object, origin: Origin, where: str) -> str:
        return super().add(getattr(thing, "brings", None) or thing, origin, where)


_FOUND: list[Extractor] = [extractor for extractors in found(__name__, "EXTRACTORS") for extractor in extractors]
EXTRACTORS = Extractors("extractor", Extractor, _FOUND, record=extractor_record, restore=closed_extractor)
