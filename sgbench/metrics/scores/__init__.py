"""The metrics, one kind in each file: every file here has METRICS, and no table lists them. No torch, no numpy."""

from operator import attrgetter

from sgbench.base.discover import found
from sgbench.base.registry import Registry
from sgbench.metrics.metric import Metric
from sgbench.metrics.record import closed_metric, metric_record

_FOUND: list[Metric] = [metric for metrics in found(__name__, "METRICS") for metric in metrics]
_FOUND.sort(key=lambda metric: metric.rank)
METRICS = Registry("metric", Metric, _FOUND, attrgetter("key"), record=metric_record, restore=closed_metric)
