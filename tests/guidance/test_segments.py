"""Rules that act one after the other: what they draw, cost and are called."""

from __future__ import annotations

from collections.abc import Callable
from itertools import pairwise
from pathlib import Path

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from sgbench.base.errors import UserError
from sgbench.cells.cell import Cell
from sgbench.cells.closed_form import image_macs
from sgbench.cells.identity import cell_id, cell_of, cell_record
from sgbench.cells.program import program
from sgbench.guidance import RULES
from sgbench.guidance.schedules import Interval, interval
from sgbench.guidance.segments import segmented
from sgbench.guidance.settings import Guidance
from sgbench.samplers.settings import Sampler
from sgbench.sampling.engine import final_state
from sgbench.sampling.networks import Networks
from sgbench.suite.load import load_suite
from sgbench.suite.sweep import expand

Tiny = Callable[[str, int], tuple[str, Networks]]
CPU = torch.device("cpu")
EARLY, LATE = interval("progress 0 to 0.5"), interval("progress 0.5 to 1")
CFG, SG = Guidance("cfg", 2.0), Guidance("sg", 1.5, 0.0, 0.75)
SUITE = """
suite: segments
title: CFG early, SG late
seed: 0
samples: 24
metrics: []
model: fashion-routing
sampler: {name: euler, steps: 4}
sweep:
- segments:
  - {guidance: sg, scale: [1.5, 2], gamma_strong: 0, gamma_weak: 0.7, interval: noise 0 to 0.5}
  - {guidance: cfg, scale: 2, interval: noise 0.5 to 1}
"""


def cell(model: str, guidance: Guidance) -> Cell:
    return Cell(model, guidance, Sampler("euler", 4), 0, "balanced", "float32")


def run(tiny: Tiny, guidance: Guidance) -> torch.Tensor:
    name, networks = tiny("tread-sit", 0)
    return final_state(cell(name, guidance), networks, [0, 1, 2], CPU)


def limited(guidance: Guidance, where: Interval) -> Guidance:
    return guidance._replace(interval=where)


def test_a_rule_in_two_segments_is_the_rule(tiny: Tiny) -> None:
    assert torch.equal(run(tiny, segmented([limited(CFG, LATE), limited(CFG, EARLY)])), run(tiny, CFG))


def test_a_segment_without_guidance_is_the_end_of_an_interval(tiny: Tiny) -> None:
    alone = segmented([limited(SG, EARLY), limited(Guidance("none"), LATE)])
    assert torch.equal(run(tiny, alone), run(tiny, limited(SG, EARLY)))


def test_between_segments_the_dense_model_is_not_guided(tiny: Tiny) -> None:
    first, last = interval("progress 0 to 0.25"), interval("progress 0.75 to 1")
    gap = segmented([limited(CFG, first), limited(SG, last)])
    name, _ = tiny("tread-sit", 0)
    assert [len(evaluation.calls) for evaluation in program(cell(name, gap))] == [2, 1, 1, 2]
    by_hand = segmented(
        [limited(CFG, first), limited(Guidance("none"), interval("progress 0.25 to 0.75")), limited(SG, last)]
    )
    assert torch.equal(run(tiny, gap), run(tiny, by_hand))


@settings(deadline=None, max_examples=30)
@given(ends=st.lists(st.integers(0, 20), min_size=3, max_size=5, unique=True), by_noise=st.booleans())
def test_segments_cost_what_they_cost_alone(ends: list[int], by_noise: bool) -> None:
    """Each evaluation is one segment's, or the dense model's."""
    clock = "noise" if by_noise else "progress"
    parts = [
        limited(CFG if number % 2 else SG, Interval(clock, a / 20, b / 20))
        for number, (a, b) in enumerate(pairwise(sorted(ends)))
    ]
    whole = image_macs(cell("fashion-routing", segmented(parts))).macs
    dense = image_macs(cell("fashion-routing", Guidance("none"))).macs
    alone = sum(image_macs(cell("fashion-routing", part)).macs - dense for part in parts)
    assert whole == dense + alone


def test_order_does_not_matter_and_the_record_reads_back() -> None:
    parts = [limited(CFG, interval("noise 0.5 to 1")), limited(SG, interval("noise 0 to 0.5"))]
    one, other = (cell("fashion-routing", segmented(order)) for order in (parts, parts[::-1]))
    assert one == other
    assert one.guidance.rule == "cfg-then-sg"
    assert cell_of(cell_record(one)) == one
    swapped = segmented([limited(SG, parts[0].interval), limited(CFG, parts[1].interval)])
    assert cell_id(one) != cell_id(one._replace(guidance=swapped))


@pytest.mark.parametrize(
    ("first", "second", "message"),
    [
        ("progress 0 to 0.6", "progress 0.5 to 1", "overlap"),
        ("noise 0 to 0.6", "noise 0.5 to 1", "overlap"),
        ("noise 0 to 0.5", "progress 0.5 to 1", "all in progress, or all in noise"),
    ],
)
def test_segments_that_do_not_fit_together(first: str, second: str, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        segmented([limited(CFG, interval(first)), limited(SG, interval(second))])


def test_rules_in_turn_are_known_as_one() -> None:
    joint = RULES["cfg-then-sg"]
    assert joint.title == "CFG then SG"
    assert joint.guided
    assert joint.needs_null
    assert not joint.needs_auxiliary
    assert RULES["ag-then-sg"].needs_auxiliary
    assert set(joint.works) == {*RULES["cfg"].works, *RULES["sg"].works}
    for name in ("cfg-then-", "cfg-then-nothing", "nothing"):
        assert name not in RULES
        with pytest.raises(KeyError):
            RULES[name]


def test_a_suite_gives_every_combination(tmp_path: Path) -> None:
    path = tmp_path / "suite.yaml"
    path.write_text(SUITE)
    cells = expand(load_suite(path))
    assert [c.guidance.segments[1].scale for c in cells] == [1.5, 2]
    assert {c.guidance.rule for c in cells} == {"cfg-then-sg"}
    assert "sg w=1.5 gamma=0/0.7 in noise 0 to 0.5" in cells[0].describe()


@pytest.mark.parametrize(
    ("old", "new", "place", "message"),
    [
        ("interval: noise 0 to 0.5", "interval: noise 0 to 0.6", r"sweep\[0\].segments", "overlap"),
        (
            ", interval: noise 0 to 0.5",
            "",
            r"sweep\[0\].segments\[0\].interval",
            "acts in a part of sampling",
        ),
        (
            "- segments:",
            "- scale: 2\n  segments:",
            r"sweep\[0\].scale",
            "has no scale of its own",
        ),
        ("guidance: sg", "guidance: cfg++", r"sweep\[0\].segments\[0\]", "CFG\\+\\+ "),
        (
            "guidance: sg",
            "guidance: gs",
            r"sweep\[0\].segments\[0\].guidance",
            "'gs', did you mean 'sg'",
        ),
        (
            "guidance: sg",
            "guidance: cfg-then-sg",
            r"sweep\[0\].segments\[0\].guidance",
            "no guidance rule",
        ),
        ("guidance: sg, ", "", r"sweep\[0\].segments\[0\].guidance", "the key is missing"),
        ("scale: [1.5, 2]", "skale: 2", r"sweep\[0\].segments\[0\].skale", "unknown key 'skale', did you mean 'scale'"),
    ],
)
def test_faults_are_named_with_their_place(tmp_path: Path, old: str, new: str, place: str, message: str) -> None:
    path = tmp_path / "suite.yaml"
    assert old in SUITE
    path.write_text(SUITE.replace(old, new))
    with pytest.raises(UserError, match=message) as caught:
        expand(load_suite(path))
    assert caught.match(place)
