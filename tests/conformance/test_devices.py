"""The law of devices: it sees a tensor that a user's code leaves on the CPU."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import pytest
import torch

from sgbench.conformance import extractors, models, rules
from sgbench.conformance.check import Subject, model_case
from sgbench.conformance.devices import NAME
from sgbench.conformance.extractors import ExtractorCase
from sgbench.conformance.law import Law, Verdict, judge_one
from sgbench.conformance.rules import RuleCase
from sgbench.guidance import RULES
from sgbench.metrics.extractors import EXTRACTORS
from sgbench.models.embedded import recipe_names
from tests.conformance.conftest import replaced
from tests.conformance.test_extractors import GOOD as EXTRACTOR
from tests.conformance.test_rules import GOOD as RULE
from tests.own_models import MODEL

Bring = Callable[[str, str], Subject]
# A user's file, and a change after which it makes a tensor on the CPU, whatever the device.
OWN = {
    "RULE": (RULE, ("    return made\n", "    return made + 0 * torch.ones(8, 8)\n")),
    "EXTRACTOR": (EXTRACTOR, ("        return made\n", "        return made + torch.ones(len(made), 5)\n")),
    "Model": (MODEL, ("+ self.places +", "+ torch.randn(16, 16) + self.places +")),
}


def of_devices(laws: Sequence[Law[Any]]) -> Law[Any]:
    (law,) = [law for law in laws if law.name == NAME]
    return law


def verdict(subject: Subject) -> Verdict:
    return judge_one(of_devices(subject.kind.laws), subject.kind.case(subject.thing), subject.files)


@contextmanager
def meta() -> Iterator[torch.device]:
    """Torch refuses to mix it with the CPU as it does CUDA; it has no values to compare."""
    yield torch.device("meta")


@pytest.mark.parametrize("name", OWN)
def test_what_is_left_on_the_cpu_is_told(name: str, brought: Bring, monkeypatch: pytest.MonkeyPatch) -> None:
    """On the meta device; what keeps the law comes as far as the comparison."""
    for one in (rules, models, extractors):
        monkeypatch.setattr(one, "other_device", meta)
    good, change = OWN[name]
    assert "mine.py, line" not in verdict(brought(good, name)).detail
    found = verdict(brought(replaced(good, change), name))
    assert found.outcome == "broken"
    assert "mine.py, line" in found.detail
    assert "meta" in found.detail


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a CUDA device")
@pytest.mark.parametrize("name", OWN)
def test_it_does_not_apply_where_there_is_no_device(name: str, brought: Bring) -> None:
    assert verdict(brought(OWN[name][0], name))[1:] == ("not applicable", "there is no CUDA device")


@pytest.mark.cuda
@pytest.mark.parametrize("name", OWN)
def test_on_cuda_what_is_left_on_the_cpu_is_told(name: str, brought: Bring) -> None:
    good, change = OWN[name]
    assert verdict(brought(good, name)).outcome == "held"
    assert verdict(brought(replaced(good, change), name)).outcome == "broken"


@pytest.mark.cuda
@pytest.mark.parametrize("name", RULES)
def test_every_rule_gives_the_same_on_cuda(name: str) -> None:
    found = judge_one(of_devices(rules.LAWS), RuleCase(RULES[name]))
    assert found.outcome == "held", found.detail


@pytest.mark.cuda
@pytest.mark.parametrize("name", recipe_names())
def test_every_embedded_model_gives_the_same_on_cuda(name: str) -> None:
    found = judge_one(of_devices(models.LAWS), model_case(name))
    assert found.outcome == "held", found.detail


@pytest.mark.cuda
@pytest.mark.parametrize("name", [name for name, one in EXTRACTORS.items() if all(w.packaged for w in one.weights)])
def test_every_packaged_extractor_gives_the_same_on_cuda(name: str) -> None:
    found = judge_one(of_devices(extractors.LAWS), ExtractorCase(EXTRACTORS[name]))
    assert found.outcome == "held", found.detail
