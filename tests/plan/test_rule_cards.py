"""`sgbench guidance` and the page made of it."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from sgbench.guidance import RULES
from sgbench.guidance.presets import PRESETS
from sgbench.plan.rule_cards import SPACES, card, page, relative_cost
from sgbench.suite.schema import SweepEntry

PAGE = Path(__file__).parents[2] / "docs" / "guidance.md"


def sgbench(*arguments: str) -> tuple[int, str, str]:
    done = subprocess.run([sys.executable, "-m", "sgbench", *arguments], capture_output=True, text=True, check=False)
    return done.returncode, done.stdout, done.stderr


@pytest.mark.slow
def test_the_page_is_the_output_of_the_command() -> None:
    assert PAGE.read_text() == page()
    assert sgbench("guidance", "page") == (0, page(), "")


def test_the_page_holds_every_rule_preset_and_setting() -> None:
    text = page()
    for rule in RULES.values():
        assert f"## {rule.title}\n" in text
        assert rule.source in text
        for parameter in rule.parameters:
            assert f"`{parameter.name}`: {parameter.meaning}" in text
    for preset in PRESETS.values():
        assert f"| `{preset.name}` | `{preset.rule}` |" in text
    for name in ("sg_flops", "sg_fid"):
        assert "does not print w" in PRESETS[name].note


def test_what_a_rule_acts_on_says_what_stops_it() -> None:
    """It is given the family's predictions, whose cosines differ from one space to another."""
    for rule in RULES.values():
        acts_on = card(rule)["acts_on"]
        assert acts_on.startswith(SPACES[rule.space])
        assert (f"stops it is seen on {SPACES['native']}" in acts_on) == (rule.stop is not None)


@pytest.mark.slow
def test_list_names_every_rule_and_preset() -> None:
    status, out, err = sgbench("guidance", "list")
    assert (status, err) == (0, "")
    assert [line.split()[0] for line in out.splitlines()[:-1]] == [*RULES, *PRESETS]
    document = json.loads(sgbench("guidance", "list", "--json")[1])
    assert [rule["name"] for rule in document["rules"]] == list(RULES)


@pytest.mark.slow
@pytest.mark.parametrize("name", ["sg", "cfg++", "seg", "sg_fid"])
def test_show_prints_what_the_page_says(name: str) -> None:
    status, out, _ = sgbench("guidance", "show", name)
    assert status == 0
    text = page()
    lines = [line for line in out.splitlines() if line.startswith("- ") and not line.startswith("- Branches")]
    assert lines
    if name in RULES:
        assert all(line in text for line in lines)
        assert json.loads(sgbench("guidance", "show", name, "--json")[1]) == json.loads(json.dumps(card(RULES[name])))


def test_the_settings_of_a_preset_are_what_a_suite_takes() -> None:
    listed = json.loads(sgbench("guidance", "list", "--json")[1])["presets"]
    for preset in listed:
        assert json.loads(sgbench("guidance", "show", preset["name"], "--json")[1]) == preset
        entry = {"guidance": preset["rule"], **preset["settings"]}
        listed_values = SweepEntry.model_validate(entry)
        assert all(getattr(listed_values, key) == [value] for key, value in PRESETS[preset["name"]].settings.items())


@pytest.mark.slow
def test_show_of_what_is_not_there_names_the_nearest() -> None:
    status, _, err = sgbench("guidance", "show", "sg_fod")
    assert status == 1
    assert err.startswith("sgbench: NAME: there is no guidance rule 'sg_fod', did you mean 'sg_fid'?")


def test_costs_are_those_of_the_paper() -> None:
    """SG at 0.5 / 0.9 below one dense call; CFG two; path drop 57.4 % of CFG in SPRINT's paper."""
    assert relative_cost(RULES["cfg"]) == 2
    assert relative_cost(RULES["sg"]) == pytest.approx(100.12 / 118.684, abs=1e-3)
    assert relative_cost(RULES["pdg"]) == pytest.approx(2 * 0.574, abs=2e-3)
    # One of forty steps is free.
    assert relative_cost(RULES["cfg-zero"]) == pytest.approx(2 * 39 / 40)


def test_what_rules_need_of_a_model() -> None:
    needs: dict[str, Any] = {name: " ".join(card(rule)["needs"]) for name, rule in RULES.items()}
    assert needs["none"] == needs["icg"] == ""
    assert "null class" in needs["cfg"]
    assert "null class where w is not 1" in needs["pag"]
    assert "auxiliary" in needs["ag+sg"]
    assert "dropped" in needs["sg"]
    assert "velocity" in needs["cfg-zero"]
    assert "euler or ddim" in needs["cfg++"]
