"""What each rule is, and the laws of the combination."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sgbench.guidance import RULES, Branch, Rule, combine
from sgbench.guidance.record import closed_rule, rule_record
from sgbench.guidance.rules.dropout import Dropout
from sgbench.guidance.rules.perturbed_attention import IdentityAttention
from sgbench.guidance.rules.skip_layers import SkippedBlocks
from sgbench.guidance.rules.smoothed_energy import BlurredQueries
from sgbench.guidance.rules.stochastic_blocks import RandomSkippedBlocks
from sgbench.guidance.rules.token_shuffle import ShuffledTokens
from sgbench.guidance.settings import Guidance

NUMBERS = st.floats(-100, 100)


def test_rules_are_what_their_papers_say() -> None:
    """Strong, weak and perturbed branch as (condition, checkpoint, whose gamma, its perturbation)."""
    dense, sparse = Branch("given", "main", "dense"), Branch("given", "main", "strong")
    null, sparse_null = Branch("null", "main", "dense"), Branch("null", "main", "weak")
    published = {
        "none": (sparse,),
        "cfg": (dense, Branch("null", "main", "dense")),
        "cfg-adaptive": (sparse, sparse_null),
        "icg": (dense, Branch("random", "main", "dense")),
        "ag": (dense, Branch("given", "auxiliary", "dense")),
        "sg": (sparse, Branch("given", "main", "weak")),
        "cfg+sg": (sparse, Branch("null", "main", "weak")),
        "ag+sg": (sparse, Branch("given", "auxiliary", "weak")),
        "pdg": (dense, Branch("null", "main", "path")),
        "apg": (sparse, sparse_null),
        "cfg++": (sparse, sparse_null),
        "cfg-zero": (sparse, sparse_null),
        "tcfg": (sparse, sparse_null),
        "mambo-g": (sparse, sparse_null),
        "fdg": (sparse, sparse_null),
        "higs": (sparse,),
        "tag": (sparse,),
        "previous-step": (sparse, Branch(source="previous")),
        "pag": (dense, null, Branch(perturbation=IdentityAttention)),
        "seg": (dense, null, Branch(perturbation=BlurredQueries)),
        "slg": (dense, null, Branch(perturbation=SkippedBlocks)),
        "s2": (dense, null, Branch(perturbation=RandomSkippedBlocks)),
        "tpg": (dense, null, Branch(perturbation=ShuffledTokens)),
        "dropout": (dense, null, Branch(perturbation=Dropout)),
    }
    assert {name: RULES[name].branches for name in published} == published


def test_rules_that_are_not_linear_name_their_space() -> None:
    published = {"apg": "image", "cfg-zero": "velocity", "tcfg": "native", "higs": "image", "mambo-g": "native"}
    assert {name: RULES[name].space for name in published} == published
    assert all((rule.combine is not None) == (rule.space != "any") for rule in RULES.values())
    assert RULES["cfg++"].replaces_update


def test_only_single_checkpoint_sg_needs_the_weaker_branch_sparser() -> None:
    for rule in RULES.values():
        called = rule.weak is not None and rule.weak.source == "call"
        alike = called and replace(rule.weak, sparsity="strong") == rule.strong  # type: ignore[type-var]
        assert rule.sparser_weak == alike, rule.name


@pytest.mark.parametrize("rule", [rule for rule in RULES.values() if not rule.others], ids=lambda rule: rule.name)
def test_what_results_keep_of_a_rule_reads_back(rule: Rule) -> None:
    kept = json.loads(json.dumps(rule_record(rule)))
    assert json.loads(json.dumps(rule_record(closed_rule(kept)))) == kept


def test_a_branch_takes_its_own_gamma() -> None:
    settings = Guidance("sg", 2.0, 0.2, 0.8)
    assert [b.gamma(settings) for b in RULES["sg"].branches] == [0.2, 0.8]
    assert [b.gamma(settings) for b in RULES["cfg"].branches] == [0.0, 0.0]
    assert [b.gamma(settings) for b in RULES["pdg"].branches] == [0.0, 1.0]


@given(strong=NUMBERS, weak=NUMBERS, scale=st.floats(1, 10))
def test_combination_is_the_papers(strong: float, weak: float, scale: float) -> None:
    """Equation 7: w strong + (1 - w) weak."""
    assert abs(combine(strong, weak, scale) - (scale * strong + (1 - scale) * weak)) < 1e-9 * 1e4


@given(strong=NUMBERS, scale=st.floats(1, 10))
def test_equal_branches_are_no_guidance(strong: float, scale: float) -> None:
    assert combine(strong, strong, scale) == strong


@given(strong=NUMBERS, weak=NUMBERS, scale=st.floats(1, 5), t=st.floats(0.01, 0.99), x=NUMBERS)
def test_combining_velocities_is_combining_data_predictions(
    strong: float, weak: float, scale: float, t: float, x: float
) -> None:
    """x0 = x - t v is linear in v, so a linear rule acts alike in both spaces."""
    through_velocity = x - t * combine(strong, weak, scale)
    through_data = combine(x - t * strong, x - t * weak, scale)
    assert abs(through_velocity - through_data) < 1e-6
