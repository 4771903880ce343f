"""Every guidance rule keeps the laws of rules, and what breaks one is told so."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace

import pytest

from sgbench.conformance.check import Subject
from sgbench.conformance.devices import NAME
from sgbench.conformance.law import judge
from sgbench.conformance.rule_settings import settings_of
from sgbench.conformance.rules import LAWS, RuleCase, stopping_apart
from sgbench.conformance.stage import Stage
from sgbench.guidance import RULES, Rule
from sgbench.guidance.branches import Parameter
from sgbench.sampling.networks import Networks
from tests.conformance.conftest import Found, replaced
from tests.own_models import line_of

Tiny = Callable[[str, int], tuple[str, Networks]]
Case = Callable[[Rule], RuleCase]

OBJECT = "RULE"
GOOD = '''
"""CFG by a share of its difference, that remembers the one of the step before."""

import random

import numpy as np
import torch

from sgbench.guidance.branches import Branch, Parameter, Rule
from sgbench.guidance.perturbation import Perturbation
from sgbench.guidance.rules.perturbed_attention import LAYERS, STRENGTH, WHEN, IdentityAttention

SEEN = []


def small(made):
    return made[0, 0].numel() == 64


class Identity(IdentityAttention):
    def attention(self, *given):
        return super().attention(*given)

    def added_macs(self, block):
        return super().added_macs(block)


def lean(predictions, step):
    strong, weak = predictions["strong"], predictions["weak"]
    difference = strong - weak
    before = step.memory.get("before", difference)
    step.memory["before"] = difference
    made = strong + (step.scale - 1) * step.parameters["share"] * (difference + before) / 2
    return made


RULE = Rule(
    name="own-lean",
    weak=Branch(condition="null", sparsity="weak"),
    perturbed=Branch(perturbation=Identity),
    combine=lean,
    parameters=(Parameter("share", "of the difference", 0, 1, default=0.5), STRENGTH, LAYERS, WHEN),
    gammas_default=0.0,
)
'''
STOPPING = '''
"""CFG that ends for images whose two predictions agree."""

import torch

from sgbench.guidance.branches import Branch, Rule


def agree(predictions, step):
    one, other = (predictions[name].flatten(1) for name in ("strong", "weak"))
    return torch.cosine_similarity(one, other) > 0.9


RULE = Rule(name="own-stop", weak=Branch(condition="null"), stop=agree)
'''
END, ATTENTION, COST = "    return made\n", "return super().attention(*given)", "return super().added_macs(block)"
AGREE = "torch.cosine_similarity(one, other) > 0.9\n"
# A change of the file, the law that it breaks, and what is said.
CHANGES = {
    "another shape": ((END, "    return made[:1]\n"), "finite", "has the shape [1, 4, 8, 8], not [8, 4, 8, 8]"),
    "another type": ((END, "    return made.double()\n"), "finite", "step 1 is float64, not float32"),
    "no tensor": ((END, "    return None\n"), "finite", "the prediction of step 1 is a NoneType, not a tensor"),
    "not finite": ((END, "    return made / (made - made)\n"), "finite", "2048 of 2048 values that are not finite"),
    "it fails": (
        (END, "    return predictions['other']\n"),
        "finite",
        "mine.py, line 34 (KeyError: 'there is no other",
    ),
    "w = 1": (("(step.scale - 1)", "step.scale"), "w = 1 is the strong", "of step 1 differs from the strong one by"),
    "a factor": (
        ("(difference + before)", "(difference * difference.abs() + before)"),
        "common factor",
        "it is off by",
    ),
    "a sum": (
        ("made = strong +", "made = step.scale * strong + (1 - step.scale) * strong.abs() +"),
        "added",
        "is off by",
    ),
    "in place": (
        (END, "    weak *= 0\n    return made\n"),
        "as they are",
        "the weak prediction is changed in place by 1",
    ),
    "a memory": (
        (END, "    SEEN.append(0)\n    return made + 1e-6 * len(SEEN) * small(made)\n"),
        "no memory",
        "step 1 differs by",
    ),
    "the batch": (
        (END, "    return made + (weak - weak.mean(0)) * (step.scale - 1) * small(made)\n"),
        "for an image",
        "alone, image 0 of 8 differs",
    ),
    "torch": ((END, "    return made * (1 + 1e-9 * torch.rand(1))\n"), "global random", "torch's global generator"),
    "one size": (
        (END, "    return made * torch.ones(8, 8)\n"),
        "a model runs",
        "line 34 (RuntimeError",
    ),
    "attention": (
        (ATTENTION, "a, b, c, d = given\n        return super().attention(a, b, c.roll(1, 0), d)"),
        "a model runs",
        "image 2 of 4",
    ),
    "cost": ((COST, "return 0, 0, 0"), "as fvcore counts", "with blocks 1-3 perturbed: macs: fvcore counts"),
}
STOPS = {
    "numbers": ((AGREE, "torch.cosine_similarity(one, other)\n"), "what `stop` gives is float32, not bool"),
    "one for all": ((AGREE, "torch.cosine_similarity(one, other).mean() > 0.9\n"), "has the shape [], not [8]"),
    "by the mean": ((AGREE, "one.square().sum(1) > one.square().sum(1).mean()\n"), "alone, image"),
    "all together": ((AGREE, "(torch.cosine_similarity(one, other).mean() > 0.9).expand(len(one))\n"), "alone, image"),
}


@pytest.fixture
def case(tiny: Tiny) -> Case:
    """A rule on a small model that has what it needs."""

    def make(rule: Rule) -> RuleCase:
        family = "ig-sit" if rule.needs_inner else "sprint" if rule.drops_path else "tread-sit"
        name, networks = tiny(family, 0)
        return RuleCase(rule, Stage(name, networks, "euler"))

    return make


@pytest.mark.parametrize("name", RULES)
def test_every_rule_keeps_every_law(name: str, case: Case) -> None:
    assert not [str(verdict) for verdict in judge(LAWS, case(RULES[name])) if verdict.outcome == "broken"]


@pytest.mark.parametrize("source", [GOOD, STOPPING])
def test_a_rule_of_a_users_may_keep_them_all(broken: Found, case: Case, source: str) -> None:
    assert broken(source, OBJECT, case) == {}


@pytest.mark.parametrize("change", CHANGES)
def test_a_rule_that_breaks_a_law_is_told_which_and_by_how_much(broken: Found, case: Case, change: str) -> None:
    part, law, told = CHANGES[change]
    (found,) = broken(replaced(GOOD, part), OBJECT, case).items()
    assert law in found[0]
    assert told in found[1]


@pytest.mark.parametrize("change", STOPS)
def test_guidance_that_does_not_stop_for_each_image_apart_is_told(broken: Found, case: Case, change: str) -> None:
    part, told = STOPS[change]
    assert told in broken(replaced(STOPPING, part), OBJECT, case)["it stops guidance for each image apart"]


TOGETHER = "agree = torch.cosine_similarity(one, other)\n    return (agree.mean() >= {}).expand(len(one))\n"
THRESHOLD = "step.parameters['cosine']"


def test_a_rule_with_a_threshold_stops_some_images_and_not_others(case: Case) -> None:
    """In the laws as in the run on a model: else nothing would be seen of a `stop` that takes the batch together."""
    adaptive = case(RULES["cfg-adaptive"])
    assert "held" in [v.outcome for v in judge(LAWS, adaptive) if "stops guidance" in v.law]
    assert stopping_apart(adaptive) is not None


def test_a_stop_by_the_mean_of_a_batch_is_told(broken: Found, case: Case) -> None:
    """Also one that does so for images of another size than the laws' own."""
    rule = (
        'Rule(name="own-stop", weak=Branch(condition="null"), parameters=(Parameter("cosine", "", 0, 1),), stop=agree)'
    )
    source = replaced(
        STOPPING,
        ('Rule(name="own-stop", weak=Branch(condition="null"), stop=agree)', rule),
        ("import Branch, Rule", "import Branch, Parameter, Rule"),
    )
    agree = "return " + AGREE
    apart = replaced(source, (agree, agree.replace("0.9", THRESHOLD)))
    assert broken(apart, OBJECT, case) == {}
    together = replaced(source, (agree, TOGETHER.format(THRESHOLD)))
    assert "alone, image" in broken(together, OBJECT, case)["it stops guidance for each image apart"]
    of_some = "agree = torch.cosine_similarity(one, other)\n    if one.shape[1] != 256:\n        agree = "
    of_some += "agree.mean().expand(len(one))\n    "
    hidden = replaced(source, (agree, f"{of_some}return agree >= {THRESHOLD}\n"))
    (found,) = broken(hidden, OBJECT, case).items()
    assert "a model runs with it" in found[0]


def test_no_image_that_stops_before_another_is_no_law_held(brought: Callable[[str, str], Subject], case: Case) -> None:
    changed = replaced(STOPPING, (AGREE, "torch.full_like(one[:, 0], step.time) < 0.5\n"))
    rule = brought(changed, OBJECT).thing
    assert isinstance(rule, Rule)
    found = {verdict.law: verdict for verdict in judge(LAWS, case(rule))}["it stops guidance for each image apart"]
    assert (found.outcome, found.detail[:24]) == ("not applicable", "under no settings tried ")


@pytest.mark.parametrize("default", [0.5, None])
def test_a_parameter_without_a_lower_end_has_a_finite_value(default: float | None) -> None:
    rule = replace(RULES["mambo-g"], parameters=(Parameter("damping", "", low=-math.inf, default=default),))
    assert math.isfinite(settings_of(rule).numbers["damping"])
    assert default is None or settings_of(rule).numbers["damping"] == default


@pytest.mark.parametrize("change", ["another shape", "another type", "no tensor", "not finite"])
def test_what_a_function_makes_wrong_is_placed_at_it(broken: Found, case: Case, change: str) -> None:
    (told,) = broken(replaced(GOOD, CHANGES[change][0]), OBJECT, case).values()
    assert told.endswith(f"mine.py, line {line_of(GOOD, 'def lean')})")


@pytest.mark.parametrize("change", ["numbers", "one for all"])
def test_what_stop_makes_wrong_is_placed_at_it(broken: Found, case: Case, change: str) -> None:
    told = broken(replaced(STOPPING, STOPS[change][0]), OBJECT, case)["it stops guidance for each image apart"]
    assert told.endswith(f"mine.py, line {line_of(STOPPING, 'def agree')})")


def test_every_law_of_rules_can_be_broken() -> None:
    parts = [part for _, part, _ in CHANGES.values()]
    assert [law.name for law in LAWS if not any(part in law.name for part in parts)] == [
        "it stops guidance for each image apart",
        NAME,
    ]


@pytest.mark.slow
@pytest.mark.parametrize(
    "name", [name for name, rule in RULES.items() if rule.drops_path or rule.needs_inner or name == "sg"]
)
def test_there_is_a_model_that_has_what_a_rule_needs(name: str) -> None:
    architecture = RuleCase(RULES[name]).stage.networks.main.architecture
    assert architecture.drops_path >= RULES[name].drops_path
    assert architecture.has_inner_head >= RULES[name].needs_inner
