"""The metrics by the names that suites use. No torch, no numpy.

`fd`, `kd` and label agreement are measured in the packaged classifier. `precision`, `recall`, `density`, `coverage`
and `nearest_train` are measured in the reference's home extractor: the packaged classifier for the embedded reference,
ADM's Inception for any other. A name that ends in an extractor's is measured in that one. The field's own names (fid,
sfid, kid, inception_score, cmmd, lpips, geneval, the hpsv2 family) mean what the field means by them. Prompt-based
metrics have a judge instead of an extractor; a name that ends in _x100 is the form that published tables show.
"""

from collections.abc import Iterable, Sequence

from sgbench.base.choices import unknown
from sgbench.base.errors import UserError
from sgbench.metrics.metric import HOME, FeatureMetric
from sgbench.metrics.preference.environments import check_installed
from sgbench.metrics.scores import METRICS as METRICS
from sgbench.metrics.weights import instrument_named

MINIMUM = 20


def qualities(metrics: list[str]) -> list[str]:
    """The metrics that can stand as quality against compute, in the given order."""
    return [key for key in metrics if METRICS[key].quality and METRICS[key].better]


def image_metrics(metrics: Iterable[str]) -> list[str]:
    """The metrics that need no prompts."""
    return [key for key in metrics if not METRICS[key].text]


def reference_metrics(metrics: Iterable[str]) -> list[str]:
    """The metrics that compare images with a reference."""
    return [key for key in metrics if METRICS[key].against_reference]


def feature_metrics(metrics: Iterable[str]) -> list[str]:
    """The metrics that are computed from features of a set."""
    return [key for key in metrics if isinstance(METRICS[key], FeatureMetric) and METRICS[key].extractor]


def check_judges(metrics: Iterable[str], where: str) -> None:
    """Whether what judges run in is installed, before the first image is generated. Raises UserError."""
    for judge in dict.fromkeys(METRICS[metric].extractor for metric in metrics if METRICS[metric].text):
        check_installed(judge, f"{where}: metrics")


def check_extractors(metrics: Iterable[str], where: str) -> None:
    """Whether every metric names an extractor or a judge that exists. Raises UserError."""
    for metric in metrics:
        if METRICS[metric].extractor not in (HOME, ""):
            instrument_named(METRICS[metric].extractor, f"{where}: {metric}")


def check_names(metrics: Sequence[str]) -> None:
    """Raises UserError for a metric of `--metrics` that does not exist, and for none."""
    if not metrics:
        raise UserError("no metric is named", where="--metrics", fix=f"choose from: {', '.join(METRICS)}")
    for metric in metrics:
        if metric not in METRICS:
            raise unknown("metric", metric, METRICS, "--metrics", f"choose from: {', '.join(METRICS)}")
    check_extractors(metrics, "--metrics")
