"""Every metric keeps the laws of metrics, and what breaks one is told so."""

from __future__ import annotations

import pytest

from sgbench.conformance.law import judge
from sgbench.conformance.metrics import LAWS, MetricCase
from sgbench.metrics.scores import METRICS
from tests.conformance.conftest import Found, replaced

OBJECT = "METRIC"
OF_IMAGES = '''
"""Mean level of an image."""

import numpy as np
import torch

from sgbench.metrics.metric import ImageMetric

SEEN = []


def level(images):
    made = images.mean(axis=(1, 2, 3)) / 255
    return made


METRIC = ImageMetric("own_level", "own level", "higher", values=level)
'''
OF_A_SET = '''
"""Spread of the channels' means."""

from sgbench.metrics.instrument import Extractor
from sgbench.metrics.metric import SetMetric


def load(files, device):
    return lambda images: images.mean((2, 3))


def spread(features, real):
    made = features.std(axis=0).mean() / real.std(axis=0).mean()
    return made


SEEN = []
COLOURS = Extractor("own-colours", side=8, range="0..1", widths={"features": 3}, load=load)
METRIC = SetMetric("own_spread", "own spread", "higher", extractor=COLOURS, needs="features", value=spread)
'''
END = "    return made\n"
# A change of a file, the law that it breaks, and what is said.
CHANGES = {
    "another shape": (
        OF_IMAGES,
        (END, "    return made[:5]\n"),
        "finite value",
        "gives float64 of shape (5,) for 60 images",
    ),
    "not finite": (OF_A_SET, (END, "    return float('nan') * made\n"), "finite value", "line 12) gives nan"),
    "it fails": (OF_IMAGES, (END, "    return made.other\n"), "finite value", "line 14 (AttributeError: "),
    "a memory": (
        OF_A_SET,
        (END, "    SEEN.append(0)\n    return made + 1e-9 * len(SEEN)\n"),
        "bit for bit",
        "at first and then",
    ),
    "the order": (OF_A_SET, (END, "    return made + features[0].mean()\n"), "the order of", "and in another order"),
    "its neighbours": (
        OF_IMAGES,
        (END, "    return made + made.std()\n"),
        "images beside it",
        "image 0 has the value ",
    ),
    "a growing error": (
        OF_A_SET,
        (END, "    return made * len(features) ** 1.5\n"),
        "standard error less",
        "for 60 images and",
    ),
    "in place": (
        OF_IMAGES,
        (END, "    images[:, 0] = 0\n    return made\n"),
        "leaves what",
        "values are changed in place",
    ),
    "torch": (OF_IMAGES, (END, "    return made + 1e-9 * torch.rand(1).item()\n"), "global random", "torch's global"),
    "NumPy": (
        OF_IMAGES,
        (END, "    return made + 1e-9 * np.random.rand()\n"),
        "global random",
        "NumPy's global generator",
    ),
    "no direction": (OF_IMAGES, ('"higher", values', '"", values'), "has a direction", "it stands as quality, and"),
}


@pytest.mark.slow
@pytest.mark.parametrize("name", METRICS)
def test_every_metric_whose_weights_are_here_keeps_every_law(name: str) -> None:
    assert not [str(verdict) for verdict in judge(LAWS, MetricCase(METRICS[name])) if verdict.outcome == "broken"]


@pytest.mark.slow
@pytest.mark.parametrize("source", [OF_IMAGES, OF_A_SET])
@pytest.mark.usefixtures("own_cache")
def test_a_metric_of_a_users_may_keep_them_all(broken: Found, source: str) -> None:
    assert broken(source, OBJECT) == {}


@pytest.mark.slow
@pytest.mark.parametrize("change", CHANGES)
@pytest.mark.usefixtures("own_cache")
def test_a_metric_that_breaks_a_law_is_told_which_and_by_how_much(broken: Found, change: str) -> None:
    source, part, law, told = CHANGES[change]
    (found,) = broken(replaced(source, part), OBJECT).items()
    assert law in found[0]
    assert told in found[1]


def test_every_law_of_metrics_can_be_broken() -> None:
    for law in LAWS:
        assert any(part in law.name for _, _, part, _ in CHANGES.values()), law.name
