"""The metrics, one kind in each file: every file here has METRICS, and no table lists them. No torch, no numpy."""

from sgbench.base.discover import found
from sgbench.metrics.metric import Metric

_FOUND: list[Metric] = [metric for metrics in found(__name__, "METRICS") for metric in metrics]
METRICS = {metric.key: metric for metric in sorted(_FOUND, key=lambda metric: metric.rank)}
