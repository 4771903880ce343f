"""Samplers of a user's own file: they run like any other, and are held to the moments that they declare."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from sgbench.base.errors import UserError
from sgbench.cells.cell import Cell
from sgbench.guidance.settings import Guidance
from sgbench.models.families import FAMILIES
from sgbench.samplers.catalogue import SAMPLERS, moments
from sgbench.samplers.settings import Sampler
from sgbench.sampling.engine import final_state
from sgbench.sampling.networks import load_networks
from sgbench.suite.load import load_suite
from sgbench.suite.sweep import expand
from tests import tiny_model

pytestmark = pytest.mark.usefixtures("own_code")
CPU = torch.device("cpu")

MIDPOINT = """
import itertools

from sgbench.samplers.clocks import sampler_times
from sgbench.samplers.settings import Moment, SamplerKind


def pairs(sampler):
    return list(itertools.pairwise(sampler_times(sampler)))


def moments(sampler):
    levels = [level for now, then in pairs(sampler) for level in (now, (now + then) / 2)]
    return [Moment(t, 1 - t, t, number // 2) for number, t in enumerate(levels)]


def solve(sampler, velocity, x, fresh):
    for step, (now, then) in enumerate(pairs(sampler)):
        middle = x + (then - now) / 2 * velocity(x, now, 2 * step)
        x = x + (then - now) * velocity(middle, (now + then) / 2, 2 * step + 1)
    return x


SAMPLER = SamplerKind("midpoint", "The midpoint method", "this test", "flow", moments, solve, takes=("shift",))
"""


def bring(folder: Path, text: str) -> None:
    (folder / "mine.py").write_text(text)
    SAMPLERS.bring("mine.py:SAMPLER", folder, "x.yaml: sampler")


def run(shift: float = 1.0) -> torch.Tensor:
    cell = Cell(tiny_model.NAME, Guidance("cfg", 2.0), Sampler("midpoint", 3, shift), 0, "balanced", "float32")
    return final_state(cell, load_networks(cell, False, CPU), range(2), CPU)


def test_a_sampler_of_a_file_gives_the_images_of_its_formula(tmp_path: Path) -> None:
    """Twice the steps of Euler's method go through the same points of a velocity that is constant."""
    bring(tmp_path, MIDPOINT)
    settings = Sampler("midpoint", 3, 2.0)
    found = moments(settings)
    assert SAMPLERS["midpoint"].evaluations(3) == len(found) == 6
    assert all(a.level > b.level for a, b in itertools.pairwise(found))
    noise, velocity = torch.randn(2, 1, 4, 4), torch.randn(2, 1, 4, 4)
    state = SAMPLERS["midpoint"].solve(settings, lambda x, t, n: velocity, noise, lambda step: noise)
    assert torch.allclose(state, noise - velocity, atol=1e-6)
    assert run().shape == (2, 1, 32, 32)
    assert not torch.equal(run(), run(shift=3.0))


@pytest.mark.parametrize("family", FAMILIES)
def test_it_is_for_every_model_of_its_clock(family: str, tmp_path: Path, suite_file: Callable[..., Path]) -> None:
    bring(tmp_path, MIDPOINT)
    if FAMILIES[family].text or FAMILIES[family].pipeline:
        pytest.skip("of models that are described by more than a size")
    model = {"family": family, "size": "B/2" if family == "sprint" else "XL/2", "resolution": 256, "weights": "random"}
    sweep = [{"guidance": "none", "sampler": "mine.py:SAMPLER"}]
    path = suite_file(model=model, metrics=[], reference=None, sweep=sweep)
    if SAMPLERS[FAMILIES[family].samplers[0]].clock == "flow":
        assert [cell.sampler.name for cell in expand(load_suite(path))] == ["midpoint"]
    else:
        with pytest.raises(UserError, match="the sampler midpoint does not support"):
            expand(load_suite(path))


HELD = {
    r"midpoint \(.*mine.py, line 17\) makes evaluation 1 at 1, and its `moments` declare 0.8333": (
        "velocity(middle, (now + then) / 2,",
        "velocity(middle, now,",
    ),
    r"makes evaluation 2 \(counted from 0\) after 1, and its `moments` declare 6": (
        "velocity(middle, (now + then) / 2, 2 * step + 1)",
        "1",
    ),
    r"evaluates the prediction 2 times, and its `moments` declare 6": (
        "    return x\n\n\nS",
        "        return x\n\n\nS",
    ),
    r"makes evaluation 7 \(counted from 0\) after 1, and its `moments` declare 6": ("2 * step + 1", "2 * step + 7"),
    r"asks in evaluation 1 for a prediction at torch.float32 of shape \[2, 1, 32\]": (
        "velocity(middle,",
        "velocity(middle[..., 0],",
    ),
    r"returned torch.float32 of shape \[2\], and the noise has shape \[2, 1, 32, 32\]": (
        "return x\n\n\nSAMPLER",
        "return x.mean(dim=(1, 2, 3))\n\n\nSAMPLER",
    ),
    r"returned a NoneType": ("return x\n\n\nSAMPLER", "return None\n\n\nSAMPLER"),
    r"the sampler's state is not finite in step 1 of 3 \(.*mine.py, line 17\)": ("middle = x +", "middle = x / 0 +"),
    r"the sampler midpoint fails in .*mine.py, line 19 \(TypeError": ("middle = x +", "middle = x + 'a' +"),
}


@pytest.mark.parametrize("what", HELD)
def test_a_sampler_is_held_to_what_it_declares(what: str, tmp_path: Path) -> None:
    assert HELD[what][0] in MIDPOINT
    bring(tmp_path, MIDPOINT.replace(*HELD[what]))
    with pytest.raises(UserError, match=what):
        run()


DECLARED = {
    r"at 3 steps are empty": ("return [Moment", "return [] and [Moment"),
    r"are not a tuple of Moment": ("Moment(t, 1 - t, t, number // 2) for", "t for"),
    r"give the level 1001 in evaluation 0, outside the clock flow": ("Moment(t, 1", "Moment(1000 + t, 1"),
    r"give progress 2 and noise 1 in evaluation 0": ("Moment(t, 1 - t", "Moment(t, 2"),
    r"give the steps 0, 1, 2, 3, 4, 5, which do not rise from 0 to 2": ("number // 2", "number"),
    r"the sampler midpoint fails in .*mine.py, line 13 \(NameError": ("levels = [level for", "levels = [unknown for"),
}


@pytest.mark.parametrize("what", DECLARED)
def test_moments_are_checked_before_anything_is_planned(what: str, tmp_path: Path) -> None:
    assert DECLARED[what][0] in MIDPOINT
    bring(tmp_path, MIDPOINT.replace(*DECLARED[what]))
    with pytest.raises(UserError, match=what):
        moments(Sampler("midpoint", 3))


def test_settings_are_those_that_suites_have(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="no setting of samplers 'shft', did you mean 'shift'"):
        bring(tmp_path, MIDPOINT.replace('("shift",)', '("shft",)'))
