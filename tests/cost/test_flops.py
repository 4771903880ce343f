"""`sgbench flops`: the counts that the papers print, closed form beside fvcore, and questions that make no sense."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor

from sgbench.base.errors import UserError
from sgbench.cells.closed_form import Macs, call_macs
from sgbench.cost.flops import Question, flops_card
from sgbench.cost.macs import MiscountError, _trace
from sgbench.guidance import RULES
from sgbench.guidance.settings import Guidance
from sgbench.models.families import FAMILIES
from sgbench.models.family import Request
from tests.letters import smallest

Command = Callable[..., tuple[int, str, str]]
SMALL = Question("tread-sit", "S/2", 64, None, "none", 0.0, 0.0, 10)
# The table, per guided step at XL/2 and 256 pixels: family, rule, gammas, convention, GMACs, tolerance.
# The paper's figures have two decimals, and it cuts 97.678 to 97.67.
TABLE = {
    "unguided": ("tread-sit", "none", 0.0, 0.0, "paper", 114.42, 0.005),
    "CFG": ("tread-sit", "cfg", 0.0, 0.0, "paper", 228.84, 0.005),
    "SG 0.5 / 0.9": ("tread-sit", "sg", 0.5, 0.9, "paper", 97.678, 0.001),
    "both at 0.3": ("tread-sit", "sg", 0.3, 0.3, "paper", 173.15, 0.005),
    "unguided, all products": ("tread-sit", "none", 0.0, 0.0, "macs", 118.6, 0.1),
    "SPRINT CFG": ("sprint", "cfg", 0.0, 0.0, "macs", 238.6, 0.2),
    "SPRINT path drop": ("sprint", "pdg", 0.0, 0.0, "macs", 136.9, 0.2),
    "MaskDiT dense": ("maskdit", "none", 0.0, 0.0, "macs", 125.8, 0.2),
    "MaskDiT at 0.5": ("maskdit", "none", 0.5, 0.0, "macs", 65.5, 0.2),
}
ROUTED = {"dit": "2-8", "sit": "2-8", "repa-sit": "2-8", "ig-sit": "2-8"}
# fvcore counts one multiply-accumulate per value of the latents for the einsum in which diffusers reorders patches.
REORDERED = {"prx": 16 * 8 * 8}


def refused(**changes: Any) -> str:
    with pytest.raises(UserError) as caught:
        flops_card(SMALL._replace(**changes))
    text = str(caught.value)
    assert "\n" not in text
    return text


# The table


@pytest.mark.parametrize("row", TABLE)
def test_the_closed_form_gives_the_published_counts(row: str) -> None:
    family, name, strong, weak, convention, expected, tolerance = TABLE[row]
    architecture = FAMILIES[family].sized(Request("XL", 2, 32, None))
    guidance = Guidance(name, 1.0, strong, weak)
    step = Macs(0, 0, 0)
    for branch in RULES[name].branches:
        step = step.plus(call_macs(architecture, branch.gamma(guidance)))
    assert getattr(step, convention) / 1e9 == pytest.approx(expected, abs=tolerance)


@pytest.mark.slow
@pytest.mark.parametrize("row", ["SG 0.5 / 0.9", "SPRINT path drop", "MaskDiT at 0.5"])
@pytest.mark.full
def test_fvcore_gives_the_published_counts(row: str) -> None:
    family, name, strong, weak, convention, expected, tolerance = TABLE[row]
    card = flops_card(Question(family, "XL/2", 256, None, name, strong, weak, 40))
    assert card["per_step"][convention] == pytest.approx(expected, abs=tolerance)
    assert card["per_step"]["fvcore"][convention] == pytest.approx(expected, abs=tolerance)


def test_a_dense_network_with_the_papers_route_costs_what_the_papers_network_costs() -> None:
    """A route changes nothing at gamma 0, and `repa-sit` has four output channels like TREAD's network."""
    forced = FAMILIES["repa-sit"].sized(Request("XL", 2, 32, ((2, 24),)))
    plain, tread = (FAMILIES[name].sized(Request("XL", 2, 32, None)) for name in ("repa-sit", "tread-sit"))
    assert call_macs(forced, 0) == call_macs(plain, 0) == call_macs(tread, 0)
    assert call_macs(forced, 0.9) == call_macs(tread, 0.9)


# Closed form and fvcore


@pytest.mark.slow
@pytest.mark.parametrize("gamma", [0.9, *(pytest.param(gamma, marks=pytest.mark.full) for gamma in (0.0, 0.5))])
@pytest.mark.parametrize(
    "family", [pytest.param(name, marks=[pytest.mark.full] * known.text) for name, known in FAMILIES.items()]
)
def test_closed_form_and_fvcore_agree_exactly(family: str, gamma: float) -> None:
    card = flops_card(
        SMALL._replace(family=family, size=f"{smallest(family)}/2", route=ROUTED.get(family), gamma_strong=gamma)
    )
    (call,) = card["per_call"]
    assert call["kept_tokens"] == {0.0: 16, 0.5: 8, 0.9: 2}[gamma]
    for convention in ("macs", "paper"):
        extra = REORDERED.get(family, 0) / 1e9
        assert call["fvcore"][convention] == pytest.approx(call[convention] + extra, rel=1e-13)
        assert call[convention] > 0


@pytest.mark.slow
def test_a_pipeline_has_one_size_and_its_own_route() -> None:
    card = flops_card(SMALL._replace(family="prx", size="anything"))
    assert (card["size"], card["resolution"], card["routes"]) == ("", 64, [(2, 12)])
    assert "overlaps another or leaves blocks 0..15" in refused(family="prx", route="2-16")
    assert "PRX has no route for dropped tokens" in refused(family="prx", route="none", gamma_strong=0.5)


@pytest.mark.slow
def test_closed_form_and_fvcore_agree_exactly_where_the_path_is_dropped() -> None:
    card = flops_card(SMALL._replace(family="sprint", guidance="pdg"))
    strong, weak = card["per_call"]
    assert (strong["gamma"], weak["gamma"], weak["kept_tokens"]) == (0.0, 1.0, 0)
    for convention in ("macs", "paper"):
        assert weak[convention] == weak["fvcore"][convention] < strong[convention]


@pytest.mark.parametrize("family", FAMILIES)
def test_dropping_tokens_saves_work(family: str) -> None:
    routes = ((2, 8),) if family in ROUTED else None
    architecture = FAMILIES[family].sized(Request(smallest(family), 2, 32, routes))
    counts = [call_macs(architecture, gamma).macs for gamma in (0.1, 0.3, 0.5, 0.7, 0.9)]
    assert counts == sorted(counts, reverse=True)
    assert len(set(counts)) == len(counts)


class Unknown(torch.nn.Module):
    """A product that fvcore counts, then operators that it has never heard of."""

    def __init__(self) -> None:
        super().__init__()
        self.linear = torch.nn.Linear(4, 4)

    def forward(self, x: Tensor) -> Tensor:
        return torch.lgamma(self.linear(x)).cummax(0).values


def test_an_operator_that_fvcore_does_not_know_stops_the_count_with_its_name() -> None:
    x = torch.zeros(3, 4)
    assert _trace(torch.nn.Linear(4, 4), (x,)) == Macs(48, 0, 0)
    with pytest.raises(MiscountError, match=r"fvcore cannot count aten::cummax, aten::lgamma"):
        _trace(Unknown(), (x,))


# What is printed


@pytest.mark.slow
def test_the_json_document(sgbench: Command) -> None:
    command = ("flops", "tread-sit", "--size", "S/2", "--resolution", "64", "--route", "3-6", "--guidance", "sg")
    status, out, _ = sgbench(*command, "--gamma-strong", "0.5", "--gamma-weak", "0.75", "--steps", "7", "--json")
    assert status == 0
    card = json.loads(out.splitlines()[-1])
    architecture = FAMILIES["tread-sit"].sized(Request("S", 2, 8, ((3, 6),)))
    closed = [call_macs(architecture, gamma) for gamma in (0.5, 0.75)]
    assert [call["branch"] for call in card["per_call"]] == ["strong", "weak"]
    assert [call["kept_tokens"] for call in card["per_call"]] == [8, 4]
    for convention in ("macs", "paper"):
        each = [getattr(one, convention) / 1e9 for one in closed]
        assert [call[convention] for call in card["per_call"]] == each
        assert card["per_step"][convention] == pytest.approx(sum(each), rel=1e-12)
        assert card["per_image"][convention] == pytest.approx(7 * sum(each), rel=1e-12)
        assert card["per_step"]["fvcore"][convention] == card["per_step"][convention]
    assert card["per_step"]["gflops"] == 2 * card["per_step"]["macs"]
    assert card["evaluations"] == card["steps"] == 7


@pytest.mark.slow
@pytest.mark.parametrize(("family", "evaluations"), [("maskdit", 13), ("dit", 7), ("sprint", 7), ("tread-dit", 13)])
def test_an_image_costs_its_evaluations(family: str, evaluations: int) -> None:
    """EDM's Heun evaluates twice a step but for the last one."""
    card = flops_card(SMALL._replace(family=family, size="S/8", guidance="cfg", steps=7))
    assert card["evaluations"] == evaluations
    for convention in ("macs", "paper", "gflops"):
        assert card["per_image"][convention] == pytest.approx(evaluations * card["per_step"][convention], rel=1e-12)
    assert card["per_step"]["macs"] == pytest.approx(2 * card["per_call"][0]["macs"], rel=1e-12)


@pytest.mark.slow
def test_the_printed_table(sgbench: Command) -> None:
    status, out, _ = sgbench("flops", "sprint", "--size", "S/8", "--resolution", "64", "--guidance", "pdg")
    assert status == 0
    lines = out.splitlines()
    assert lines[0] == "sprint S/8, 64 pixels, pdg"
    for start in ("call: strong, gamma 0", "call: weak, gamma 1", "guided step", "image (40 evaluations)"):
        (line,) = (line for line in lines if line.startswith(start))
        macs, counted, paper, paper_counted, gflops = map(float, line.removeprefix(start).split())
        assert (macs, paper) == (counted, paper_counted)
        assert gflops == pytest.approx(2 * macs, abs=0.0011)


# Questions that make no sense


def test_unknown_names() -> None:
    assert "FAMILY: there is no model family 'tread', did you mean 'tread-" in refused(family="tread")
    for size in ("M/2", "S", "S/3", "s/2", "", "S/2/2"):
        assert "write a letter of S, B, L, XL and a patch of 2, 4 or 8" in refused(size=size)
    assert "--guidance: there is no guidance rule 'cgf', did you mean 'cfg'?" in refused(guidance="cgf")


@pytest.mark.parametrize("gamma", [1.0, -0.1, 2.0, float("nan"), float("inf")])
def test_gamma_outside_its_range(gamma: float) -> None:
    assert f"--gamma-strong: {gamma:g} is not in [0, 1)" in refused(gamma_strong=gamma)
    assert f"--gamma-weak: {gamma:g} is not in [0, 1)" in refused(guidance="sg", gamma_weak=gamma)


def test_settings_that_do_not_go_together() -> None:
    assert "--gamma-weak: CFG has no gamma_weak" in refused(guidance="cfg", gamma_weak=0.5)
    assert "--gamma-strong: CFG has no gamma_strong" in refused(guidance="cfg", gamma_strong=0.5)
    assert "has no gamma_weak" in refused(gamma_weak=0.5)
    assert "PDG drops the middle path, and SiT + TREAD has none" in refused(guidance="pdg")
    assert "SiT has no route for dropped tokens; add --route FIRST-LAST" in refused(family="sit", gamma_strong=0.5)
    assert "has no route for dropped tokens" in refused(route="none", gamma_strong=0.5)
    assert "SPRINT has no routes" in refused(family="sprint", route="2-8")
    assert "MaskDiT has no routes" in refused(family="maskdit", route="2-8")


@pytest.mark.parametrize("route", ["2-12", "12-13", "8-2", "2-5,5-8", "6-8,2-4"])
def test_a_route_outside_the_network(route: str) -> None:
    found = refused(route=route)
    assert "--route: route [" in found
    assert "overlaps another or leaves blocks 0..11" in found


@pytest.mark.parametrize("route", ["2", "2-", "a-b", "2:8", "-2-8", "2-8,"])
def test_a_route_that_is_none(route: str) -> None:
    assert f"{route!r} is not a route" in refused(route=route)


@pytest.mark.parametrize("changes", [{"route": "'"}, {"route": '2-8"'}, {"size": "S/2'"}], ids=str)
def test_a_quotation_mark_is_refused(changes: dict[str, str]) -> None:
    assert "--size" in refused(**changes) or "--route" in refused(**changes)


@pytest.mark.parametrize("resolution", [100, 0, -64, 32, 257])
def test_a_resolution_that_cannot_be_served(resolution: int) -> None:
    assert f"resolution {resolution} is not supported" in refused(resolution=resolution)


def test_a_refused_question_is_one_line_with_a_status(sgbench: Command) -> None:
    status, out, err = sgbench("flops", "sprint", "--resolution", "100")
    assert (status, out) == (1, "")
    assert err.startswith("sgbench: ")
    assert err.count("\n") == 1
    status, _, err = sgbench("flops", "tread-sit", "--gamma-strong", "nan")
    assert (status, err.count("\n")) == (1, 1)
    assert "nan is not in [0, 1)" in err
    status, _, err = sgbench("flops", "tread-sit", "--steps", "0")
    assert (status, err.count("\n")) == (2, 1)
