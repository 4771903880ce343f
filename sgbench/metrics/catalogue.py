"""The metrics by the names that suites use. No torch, no numpy.

`fd`, `kd` and label agreement are measured in the packaged classifier. `precision`, `recall`, `density`, `coverage`
and `nearest_train` are measured in the reference's home extractor: the packaged classifier for the embedded reference,
ADM's Inception for any other. A name that ends in an extractor's is measured in that one. The field's own names (fid,
sfid, kid, inception_score, cmmd, lpips, geneval, hpsv2 and its kin) mean what the field means by them. Metrics of
prompts have a judge where others have an extractor; a name that ends in _x100 is the form that published tables show.
"""

from __future__ import annotations

import importlib.util
from collections.abc import Iterable, Sequence

from sgbench.base.choices import suggestion
from sgbench.base.errors import UserError
from sgbench.metrics.judges.catalogue import INSTALL, PACKAGES
from sgbench.metrics.metric import FeatureMetric
from sgbench.metrics.preference.catalogue import SCORERS
from sgbench.metrics.preference.environments import environment
from sgbench.metrics.scores import METRICS as METRICS

MINIMUM = 20


def qualities(metrics: list[str]) -> list[str]:
    """Those of a suite's metrics that can stand as quality against compute, its own order kept."""
    return [key for key in metrics if METRICS[key].quality]


def image_metrics(metrics: Iterable[str]) -> list[str]:
    """Those that look at images alone."""
    return [key for key in metrics if not METRICS[key].text]


def feature_metrics(metrics: Iterable[str]) -> list[str]:
    """Those that are computed from features of a set."""
    return [key for key in metrics if isinstance(METRICS[key], FeatureMetric)]


def check_judges(metrics: Iterable[str], where: str) -> None:
    """Miss what a judge runs in before the first image is drawn. Raises UserError."""
    for judge in dict.fromkeys(METRICS[metric].extractor for metric in metrics if METRICS[metric].text):
        if judge in SCORERS and SCORERS[judge].requirements:
            environment(judge)
        if judge in PACKAGES and importlib.util.find_spec(PACKAGES[judge]) is None:
            raise UserError(
                f"{judge} needs {PACKAGES[judge]}, which is not installed",
                where=f"{where}: metrics",
                fix=INSTALL[PACKAGES[judge]],
            )


def check_names(metrics: Sequence[str]) -> None:
    """Raises UserError for a metric that `--metrics` names and nobody knows, and for none."""
    if not metrics:
        raise UserError("no metric is named", where="--metrics", fix=f"choose from: {', '.join(METRICS)}")
    for metric in metrics:
        if metric not in METRICS:
            raise UserError(
                f"there is no metric {metric!r}{suggestion(metric, list(METRICS))}",
                where="--metrics",
                fix=f"choose from: {', '.join(METRICS)}",
            )
