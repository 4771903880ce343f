"""The metrics, one a file or kin together: every file here has METRICS, and no table lists them. No torch, no numpy."""

from __future__ import annotations

from collections.abc import Iterator
from importlib import import_module
from pkgutil import iter_modules

from sgbench.metrics.metric import Metric


def _found() -> Iterator[Metric]:
    for file in iter_modules(__path__):
        metrics: tuple[Metric, ...] = import_module(f"{__name__}.{file.name}").METRICS
        yield from metrics


METRICS: dict[str, Metric] = {metric.key: metric for metric in sorted(_found(), key=lambda metric: metric.rank)}
