"""The metrics by the names that suites use: title, direction, extractor, variant. No torch.

`fd`, `kd` and label agreement are measured in the packaged classifier. `precision`, `recall`, `density`, `coverage`
and `nearest_train` are measured in the reference's home extractor: the packaged classifier for the embedded reference,
ADM's Inception for any other. A name that ends in an extractor's is measured in that one. The field's own names (fid,
sfid, kid, inception_score, cmmd, lpips, geneval, hpsv2 and its kin) mean what the field means by them. Metrics of
prompts have a judge where others have an extractor; a name that ends in _x100 is the form that published tables show.
"""

from __future__ import annotations

import importlib.util
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Literal

from sgbench.base.choices import require_choice
from sgbench.base.errors import UserError
from sgbench.base.suggest import suggestion
from sgbench.metrics.judges.catalogue import DRAWN, GENEVAL_JUDGE, INSTALL, PACKAGES
from sgbench.metrics.preference.catalogue import SCORERS, Scorer
from sgbench.metrics.preference.environments import environment

HOME = "home"
MINIMUM = 20


Better = Literal["lower", "higher", ""]
Kind = Literal[
    "frechet",
    "kid",
    "cmmd",
    "precision",
    "recall",
    "density",
    "coverage",
    "inception_score",
    "label_agreement",
    "nearest_train",
    "lpips",
    "composition",
    "preference",
]
# What to cite for a kind: keys of `report/citations/references.bib`.
WORKS: dict[Kind, tuple[str, ...]] = {
    "frechet": ("heusel2017fid",),
    "kid": ("binkowski2018kid",),
    "cmmd": ("jayasumana2024cmmd",),
    "inception_score": ("salimans2016inception",),
    "precision": ("kynkaanniemi2019precision",),
    "recall": ("kynkaanniemi2019precision",),
    "density": ("naeem2020density",),
    "coverage": ("naeem2020density",),
    "lpips": ("zhang2018lpips",),
    "label_agreement": (),
    "nearest_train": (),
    "composition": ("ghosh2023geneval",),
    "preference": (),
}
Needs = Literal["moments", "features", "training", ""]


@dataclass(frozen=True)
class Metric:
    """One metric. `better` is lower, higher or empty where neither end is good."""

    key: str
    title: str
    better: Better
    kind: Kind
    extractor: str
    variant: str
    output: str = "features"
    needs: Needs = "features"
    """What of the reference: moments, features, training, or nothing."""
    factor: float = 1.0
    """What a judge's raw values are multiplied by."""
    further_works: tuple[str, ...] = ()
    """What to cite besides the works of its kind and of its network."""

    def __post_init__(self) -> None:
        require_choice(self.better, Better, "Metric.better")
        require_choice(self.kind, Kind, "Metric.kind")
        require_choice(self.needs, Needs, "Metric.needs")

    @property
    def text(self) -> bool:
        """Whether it judges an image by its prompt."""
        return self.kind in TEXT_KINDS

    @property
    def works(self) -> tuple[str, ...]:
        """What to cite, its network apart."""
        return (*WORKS[self.kind], *self.further_works)


FRECHET = "Frechet distance of Gaussian fits (ddof 1), float64"
KERNEL = "kernel distance: unbiased squared MMD, kernel (x.y / D + 1)^3, all pairs, float64"
PRECISION = "improved precision (arXiv 1904.06991), k = 3, <=, float32 distances"
RECALL = "improved recall (arXiv 1904.06991), k = 3, <=, float32 distances"
DENSITY = "density (arXiv 2002.09797), k = 5, <, float32 distances"
COVERAGE = "coverage (arXiv 2002.09797), k = 5, <, float32 distances"
SCORE = "Inception Score: exp of the mean KL divergence, logits without bias, splits of 5,000, float64"
CMMD = "squared MMD with every pair, Gaussian kernel of width 10, times 1,000, float64"
LPIPS = "LPIPS 0.1 (arXiv 1801.03924) on VGG16, mean over pairs of one seed with the unguided cell, float32"
NEAREST = "mean Euclidean distance to the nearest training image, float32"
TEXT_KINDS = ("composition", "preference")
COMPOSITION = "share of images that show what their prompt says, by GenEval's rules (arXiv 2310.11513), mean of tasks"
AGREEMENT = "share of images classified as the class asked for"


def _preferences(scorer: Scorer) -> list[Metric]:
    """A scorer's raw values, and the form of published tables where it is another one."""
    key = scorer.name.replace("-", "_")
    forms = [(key, scorer.unit, 1.0)]
    if scorer.factor != 1:
        forms.append((f"{key}_x{scorer.factor:g}", f"{scorer.factor:g} x {scorer.unit}", scorer.factor))
    title = scorer.title.partition(" (")[0]
    return [
        Metric(
            name, f"{title}, {unit}", "higher", "preference", scorer.name, f"mean of {unit} over images", "", "", factor
        )
        for name, unit, factor in forms
    ]


_NEIGHBOURS: tuple[tuple[Literal["precision", "recall", "density", "coverage"], str], ...] = (
    ("precision", PRECISION),
    ("recall", RECALL),
    ("density", DENSITY),
    ("coverage", COVERAGE),
)
_LIST = [
    Metric("fd", "FD[fashion-cnn]", "lower", "frechet", "fashion-cnn", FRECHET, needs="moments"),
    Metric("fd_lite0", "FD[lite0]", "lower", "frechet", "lite0", FRECHET, needs="moments"),
    Metric(
        "fd_dinov2",
        "FD[dinov2]",
        "lower",
        "frechet",
        "dinov2",
        FRECHET,
        needs="moments",
        further_works=("stein2023exposing",),
    ),
    Metric("fid", "FID", "lower", "frechet", "inception", FRECHET, needs="moments"),
    Metric("fid_clean", "clean-FID", "lower", "frechet", "inception-clean", FRECHET, needs="moments"),
    Metric(
        "sfid",
        "sFID",
        "lower",
        "frechet",
        "inception",
        FRECHET,
        output="spatial",
        needs="moments",
        further_works=("nash2021sfid",),
    ),
    Metric("kd", "KD[fashion-cnn]", "lower", "kid", "fashion-cnn", KERNEL),
    Metric("kd_lite0", "KD[lite0]", "lower", "kid", "lite0", KERNEL),
    Metric("kid", "KID", "lower", "kid", "inception", KERNEL),
    Metric("cmmd", "CMMD", "lower", "cmmd", "clip", CMMD),
    Metric("inception_score", "IS", "higher", "inception_score", "inception", SCORE, output="logits", needs=""),
    Metric("precision", "precision", "higher", "precision", HOME, PRECISION),
    Metric("recall", "recall", "higher", "recall", HOME, RECALL),
    Metric("density", "density", "higher", "density", HOME, DENSITY),
    Metric("coverage", "coverage", "higher", "coverage", HOME, COVERAGE),
    *(
        Metric(f"{kind}_{extractor}", f"{kind}[{extractor}]", "higher", kind, extractor, variant)
        for extractor in ("lite0", "dinov2")
        for kind, variant in _NEIGHBOURS
    ),
    Metric("lpips", "LPIPS to unguided", "", "lpips", "lpips", LPIPS, needs=""),
    Metric("label_agreement", "label agreement", "higher", "label_agreement", "fashion-cnn", AGREEMENT, "classes", ""),
    Metric("composition", "composition", "higher", "composition", DRAWN, COMPOSITION, "", ""),
    Metric("geneval", "GenEval", "higher", "composition", GENEVAL_JUDGE, COMPOSITION, "", ""),
    *(metric for scorer in SCORERS.values() for metric in _preferences(scorer)),
    Metric("nearest_train", "nearest training image", "", "nearest_train", HOME, NEAREST, needs="training"),
]
METRICS = {metric.key: metric for metric in _LIST}


def qualities(metrics: list[str]) -> list[str]:
    """Those of a suite's metrics that can stand as quality against compute, its own order kept."""
    return [key for key in metrics if METRICS[key].kind in ("frechet", "kid", "cmmd", *TEXT_KINDS)]


def image_metrics(metrics: Iterable[str]) -> list[str]:
    """Those that look at images alone."""
    return [key for key in metrics if not METRICS[key].text]


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
