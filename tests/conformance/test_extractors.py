"""Every extractor keeps the laws of extractors, and what breaks one is told so."""

from __future__ import annotations

import pytest

from sgbench.conformance.devices import NAME
from sgbench.conformance.extractors import LAWS, ExtractorCase
from sgbench.conformance.law import judge
from sgbench.metrics.extractors import EXTRACTORS
from tests.conformance.conftest import Found, replaced

OBJECT = "EXTRACTOR"
GOOD = '''
"""Means of a small convolution."""

import numpy as np
import torch

from sgbench.metrics.instrument import Extractor

SEEN = []


def load(files, device):
    weights = torch.randn(5, 3, 3, 3, generator=torch.Generator().manual_seed(0)).to(device)

    def features(images):
        made = torch.nn.functional.conv2d(images, weights).relu().mean((2, 3))
        return made

    return features


EXTRACTOR = Extractor("own-convolution", side=16, range="0..1", widths={"features": 5}, load=load)
'''
END, SEEDED = "        return made\n", "generator=torch.Generator().manual_seed(0)"
# A change of the file, the law that it breaks, and what is said.
CHANGES = {
    "another width": (
        (END, "        return made[:, :4]\n"),
        "what it declares",
        "gives features of shape (8, 4) for 8 images",
    ),
    "not finite": ((END, "        return made / 0\n"), "what it declares", "values that are not finite for 8 images"),
    "it fails": ((END, "        return made.other\n"), "what it declares", "line 17 (AttributeError: "),
    "constant": (
        (END, "        return 0 * made + 1\n"),
        "different images",
        "8 different images have the same features",
    ),
    "the batch": (
        (END, "        return made + made.mean(0)\n"),
        "batch of one",
        "features of image 0 alone differs by",
    ),
    "a memory": (
        (END, "        SEEN.append(0)\n        return made * (1 + 1e-6 * len(SEEN))\n"),
        "bit for bit",
        "after others",
    ),
    "no seed": ((", " + SEEDED, ""), "loaded again", "loaded a second time, features of the same images differ by"),
    "in place": ((END, "        images *= 2\n        return made\n"), "leaves its images", "changed in place by 1"),
    "torch": ((END, "        return made + 1e-9 * torch.rand(1)\n"), "global random state", "torch's global generator"),
    "NumPy": (
        (END, "        return made + 1e-9 * np.random.rand()\n"),
        "global random state",
        "NumPy's global generator",
    ),
}


@pytest.mark.slow
@pytest.mark.parametrize("name", EXTRACTORS)
def test_every_extractor_whose_weights_are_here_keeps_every_law(name: str) -> None:
    verdicts = list(judge(LAWS, ExtractorCase(EXTRACTORS[name])))
    assert not [str(verdict) for verdict in verdicts if verdict.outcome == "broken"]
    packaged = all(weights.packaged for weights in EXTRACTORS[name].weights)
    assert packaged == all(verdict.outcome == "held" for verdict in verdicts if verdict.law != NAME)


def test_an_extractor_of_a_users_may_keep_them_all(broken: Found) -> None:
    assert broken(GOOD, OBJECT) == {}


@pytest.mark.parametrize("change", CHANGES)
def test_an_extractor_that_breaks_a_law_is_told_which_and_by_how_much(broken: Found, change: str) -> None:
    part, law, told = CHANGES[change]
    (found,) = broken(replaced(GOOD, part), OBJECT).items()
    assert law in found[0]
    assert told in found[1]


def test_every_law_of_extractors_can_be_broken() -> None:
    parts = [part for _, part, _ in CHANGES.values()]
    assert [law.name for law in LAWS if not any(part in law.name for part in parts)] == [NAME]
