"""Every sampler keeps the laws of samplers, and what breaks one is told so."""

from __future__ import annotations

import pytest

from sgbench.conformance.law import judge
from sgbench.conformance.samplers import LAWS
from sgbench.samplers.catalogue import SAMPLERS
from tests.conformance.conftest import Found, replaced

GOOD = '''
"""Euler's method that puts back a little of the noise in every step but the last."""

import itertools
import random

import numpy as np
import torch

from sgbench.samplers.clocks import at_starts, sampler_times
from sgbench.samplers.settings import SamplerKind

SEEN = []


def solve(sampler, velocity, noise, fresh):
    x, times = noise, sampler_times(sampler)
    for step, (now, following) in enumerate(itertools.pairwise(times)):
        v = velocity(x, now, step)
        image, rest = x - now * v, x + (1 - now) * v
        if following:
            rest = (rest + 0.5 * fresh(step)) / 1.25**0.5
        x = (1 - following) * image + following * rest
    return x



SAMPLER = SamplerKind(
    name="own-euler",
    title="Euler with noise",
    source="this test",
    clock="flow",
    takes=("shift",),
    moments=lambda sampler: at_starts(sampler_times(sampler)),
    solve=solve,
)
'''
OBJECT = "SAMPLER"
END, CALL, FRESH = "    return x\n\n", "velocity(x, now, step)\n", "fresh(step)) /"
MOMENTS = "at_starts(sampler_times(sampler)),"
# A change of the file, the law that it breaks, and what is said.
CHANGES = {
    "another shape": ((END, "    return x[:, :1]\n\n"), "finite state", "has the shape [8, 1, 4, 4], not [8, 2, 4, 4]"),
    "not finite": ((END, "    return x / 0\n\n"), "finite state", "has 256 of 256 values that are not finite"),
    "it fails": ((END, "    return x.y\n\n"), "finite state", "mine.py, line 24 (AttributeError: "),
    "another number": ((CALL, "velocity(x, now, step + 1)\n"), "declared moments", "evaluation 0 of 1 is numbered 1"),
    "another level": (
        (MOMENTS, "[m._replace(level=0.9 * m.level) for m in at_starts(sampler_times(sampler))],"),
        "declared moments",
        "evaluation 0 is at the level 1 and declared at 0.9",
    ),
    "fewer": ((MOMENTS, "at_starts(sampler_times(sampler))[:1],"), "declared", "evaluates the prediction 2 times in 2"),
    "progress that falls": (
        (MOMENTS, "[m._replace(progress=1 - m.progress) for m in at_starts(sampler_times(sampler))],"),
        "run from noise to image",
        "progress falls from 1 to 0.5",
    ),
    "noise left": (
        (END, "    return x + 0.17 * noise\n\n"),
        "of one image",
        "it ends 0.17 deviations",
    ),
    "too little noise": (("0.5 * fresh(step)) / 1.25**0.5", "fresh(step)) / 2"), "Gaussian", "come out with 0."),
    "a memory": ((END, "    SEEN.append(0)\n    return x + 1e-12 * len(SEEN)\n\n"), "bit for bit", "differs from"),
    "the batch": (
        (END, "    return x + 1e-3 * x.mean()\n\n"),
        "batch",
        "image 0 alone differs from the same",
    ),
    "in place": ((END, "    noise *= 2\n    return x\n\n"), "leaves its noise", "changed in place by"),
    "torch": ((END, "    return x + 1e-9 * torch.rand(1)\n\n"), "global random state", "it draws from torch's global"),
    "NumPy": ((END, "    return x + 1e-9 * np.random.rand()\n\n"), "global random", "it draws from NumPy's global"),
    "Python": ((END, "    return x + 1e-9 * random.random()\n\n"), "global random", "it draws from Python's global"),
    "fresh twice": (
        (FRESH, "(fresh(step) + fresh(step)) / 2) /"),
        "asks once",
        "it asks 2 times for the noise of",
    ),
    "fresh later": ((FRESH, "fresh(step + 1000)) /"), "asks once", "it asks for the noise of step 1000 of 7"),
    "CFG++": (
        ("    solve=solve,\n", "    solve=solve,\n    solve_plus_plus=lambda sampler, pair, noise: noise,\n"),
        "CFG++",
        "differs from the plain one by",
    ),
}


@pytest.mark.parametrize("name", SAMPLERS)
def test_every_sampler_keeps_every_law(name: str) -> None:
    assert not [str(verdict) for verdict in judge(LAWS, SAMPLERS[name]) if verdict.outcome == "broken"]


def test_a_sampler_of_a_users_may_keep_them_all(broken: Found) -> None:
    assert broken(GOOD, "SAMPLER") == {}


@pytest.mark.parametrize("change", CHANGES)
def test_a_sampler_that_breaks_a_law_is_told_which_and_by_how_much(broken: Found, change: str) -> None:
    part, law, told = CHANGES[change]
    (found,) = broken(replaced(GOOD, part), "SAMPLER").items()
    assert law in found[0]
    assert told in found[1]


def test_every_law_of_samplers_can_be_broken() -> None:
    for law in LAWS:
        assert any(part in law.name for _, part, _ in CHANGES.values()), law.name
