"""A kind that no branch of code knows is refused where it is written down, before there is a suite to draw from."""

from __future__ import annotations

import dataclasses
from typing import Any, get_args

import pytest

from sgbench.base.errors import UserError
from sgbench.guidance import RULES, Branch, Rule
from sgbench.guidance import branches as guidance
from sgbench.guidance.branches import Parameter
from sgbench.guidance.perturbation import Perturbation
from sgbench.guidance.rules.skip_layers import SkippedBlocks
from sgbench.metrics import instrument, metric
from sgbench.metrics.catalogue import METRICS
from sgbench.metrics.instrument import Judge
from sgbench.metrics.judges.catalogue import JUDGES
from sgbench.metrics.metric import FeatureMetric, Metric
from sgbench.models.families import FAMILIES
from sgbench.models.family import Family, Prediction
from sgbench.samplers.catalogue import SAMPLERS
from sgbench.samplers.settings import Clock, SamplerKind

UNKNOWN = "attention temperature"
ANY_RULE, ANY_SAMPLER, ANY_METRIC, ANY_FAMILY = (
    next(iter(table.values())) for table in (RULES, SAMPLERS, METRICS, FAMILIES)
)
KINDS: list[type] = [Branch, Rule, Parameter, SamplerKind, Metric, Judge, Family]
CHOSEN = [
    (Branch(), "condition", guidance.Condition),
    (Branch(), "checkpoint", guidance.CheckpointName),
    (Branch(), "sparsity", guidance.Sparsity),
    (Parameter("tau", "temperature"), "text", guidance.TextForm),
    (ANY_RULE, "space", guidance.Space),
    (ANY_SAMPLER, "clock", Clock),
    (ANY_METRIC, "better", metric.Better),
    (ANY_METRIC, "needs", metric.Needs),
    (JUDGES["drawn"], "judges", instrument.Judged),
    (ANY_FAMILY, "prediction", Prediction),
]


@pytest.mark.parametrize(
    ("record", "field", "choices"), CHOSEN, ids=lambda value: str(value) if isinstance(value, str) else ""
)
def test_an_unknown_kind_is_refused_by_name(record: Any, field: str, choices: Any) -> None:
    with pytest.raises(UserError) as caught:
        dataclasses.replace(record, **{field: UNKNOWN})
    kind = next(kind for kind in KINDS if isinstance(record, kind))
    assert caught.value.where == f"{kind.__name__}.{field}"
    assert repr(UNKNOWN) in str(caught.value)
    assert all(repr(choice) in caught.value.fix for choice in get_args(choices))


@pytest.mark.parametrize("kind", KINDS)
def test_every_choice_of_a_record_is_among_those_tested(kind: type) -> None:
    """A field whose type is a Literal, by itself or by name, is one that code branches on."""
    names = {
        "Condition",
        "CheckpointName",
        "Sparsity",
        "TextForm",
        "Space",
        "Clock",
        "Better",
        "Needs",
        "Judged",
        "Prediction",
    }
    chosen = {
        f.name for f in dataclasses.fields(kind) if "Literal" in str(f.type) or str(f.type).split(" ")[0] in names
    }
    assert chosen == {field for record, field, _ in CHOSEN if isinstance(record, kind)}


class Unfinished(Perturbation):
    """A perturbation that says neither what it does to attention nor what it costs."""


@pytest.mark.parametrize("kind", ["attention temperature", Perturbation, Unfinished, Branch])
def test_an_unknown_perturbation_is_refused(kind: Any) -> None:
    with pytest.raises(UserError, match="is not a kind of perturbation") as caught:
        Branch(perturbation=kind)
    assert caught.value.where == "Branch.perturbation"


def test_a_perturbed_branch_that_drops_tokens_is_refused() -> None:
    with pytest.raises(UserError, match="random stream"):
        dataclasses.replace(ANY_RULE, perturbed=Branch(sparsity="weak", perturbation=SkippedBlocks))


def test_a_metric_that_cannot_be_computed_is_refused() -> None:
    """By Python, since it has no `score`."""
    with pytest.raises(TypeError, match="abstract method"):
        FeatureMetric("vendi", "Vendi", "higher", "fashion-cnn", "Vendi score")  # type: ignore[abstract]
