"""What results keep of a user's metric or extractor: all but its functions. No torch."""

from dataclasses import fields
from typing import Any, NoReturn

from sgbench.base.errors import UserError
from sgbench.base.registry import as_tuple
from sgbench.metrics.instrument import Extractor
from sgbench.metrics.metric import FeatureMetric, Metric, PairedMetric, TextMetric

KINDS = {"features": FeatureMetric, "pairs": PairedMetric, "prompts": TextMetric}
METRIC = tuple(field.name for field in fields(Metric) if field.name != "brings")
EXTRACTOR = ("name", "title", "inputs", "gmacs", "works", "widths", "half", "batch", "channels", "side", "range")


def metric_record(metric: Metric) -> dict[str, Any]:
    """The facts of a metric as JSON takes them."""
    kind = next(name for name, kind in KINDS.items() if isinstance(metric, kind))
    return {"kind": kind, **{name: getattr(metric, name) for name in METRIC}}


def closed_metric(record: dict[str, Any]) -> Metric:
    """A metric that can be named and drawn, and not computed.

    Raises KeyError, TypeError or ValueError for anything that is no record of a metric.
    """
    kind = type("ClosedMetric", (KINDS[record["kind"]],), {"score": _closed})
    metric: Metric = kind(**{name: as_tuple(record[name]) for name in METRIC})
    return metric


def extractor_record(extractor: Extractor) -> dict[str, Any]:
    """The facts of an extractor as JSON takes them; the digest as far as its weights are at hand."""
    # Imported here: weights know the extractors.
    from sgbench.metrics.weights import extractor_digest

    try:
        digest = extractor_digest(extractor.name)
    except UserError:
        digest = ""
    return {**{name: getattr(extractor, name) for name in EXTRACTOR}, "digest": digest}


def closed_extractor(record: dict[str, Any]) -> Extractor:
    """An extractor that can be named and cited, and not run; KeyError, TypeError or ValueError for other records."""
    facts = {name: as_tuple(record[name]) for name in (*EXTRACTOR, "digest")}
    return Extractor(**facts, load=_closed)


def _closed(*_: Any) -> NoReturn:
    raise UserError(
        "it is known from a record of results alone",
        where="a user's metric or extractor",
        fix="run the suite, which loads its file",
    )
