"""What a branch may differ in and what a rule may see, tried with rules that are made here."""

from __future__ import annotations

from collections.abc import Callable
from typing import get_args

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from sgbench.base.errors import CellError, UserError
from sgbench.cells.cell import Cell
from sgbench.cells.closed_form import image_macs, stopped_macs
from sgbench.cells.program import may_stop, program
from sgbench.guidance import RULES, Branch, Rule
from sgbench.guidance.branches import Parameter, Predictions, Step
from sgbench.guidance.schedules import Interval
from sgbench.guidance.settings import Guidance
from sgbench.models.family import Prediction
from sgbench.networks.prediction import predict
from sgbench.samplers.clocks import TRAINED_STEPS, flow_time, moved
from sgbench.samplers.settings import Clock, Sampler
from sgbench.sampling.engine import final_state, sample
from sgbench.sampling.guided import GuidedPrediction
from sgbench.sampling.networks import Networks

Tiny = Callable[[str, int], tuple[str, Networks]]
CPU = torch.device("cpu")
STEPS = 4
LABELS = torch.tensor([0, 1, 2])


@pytest.fixture
def registered(monkeypatch: pytest.MonkeyPatch) -> Callable[[Rule], Rule]:
    """Rules under names that no other test uses: what is worked out for a cell is remembered."""

    def register(rule: Rule) -> Rule:
        monkeypatch.setitem(RULES, rule.name, rule)
        return rule

    return register


def cell(model: str, rule: str, scale: float = 2.0, sampler: str = "euler", **numbers: float) -> Cell:
    guidance = Guidance(rule, scale, parameters=tuple(numbers.items()))
    return Cell(model, guidance, Sampler(sampler, STEPS), 0, "balanced", "float32")


def predicted(networks: Networks, x: Tensor, level: float, kind: Prediction = "velocity") -> Tensor:
    with torch.inference_mode():
        return predict(networks.main, kind, 0.5, x, level, LABELS, None)


# What a rule sees


def test_a_rule_may_see_the_state_the_time_and_the_step_and_costs_one_call(
    tiny: Tiny, registered: Callable[[Rule], Rule]
) -> None:
    seen: list[Step] = []

    def look(predictions: Predictions, step: Step) -> Tensor:
        seen.append(step)
        step.memory["calls"] = step.memory.get("calls", torch.zeros(())) + 1
        return predictions["strong"] + (step.scale - 1) * step.parameters["push"] * step.x

    registered(Rule(name="looking", combine=look, parameters=(Parameter("push", "towards the state"),)))
    name, networks = tiny("tread-sit", 0)
    chosen = cell(name, "looking", push=0.25)
    state = final_state(chosen, networks, [0, 1, 2], CPU)
    assert [(s.number, s.steps, s.progress, s.time, s.noise) for s in seen] == [
        (n, STEPS, n / STEPS, 1 - n / STEPS, 1 - n / STEPS) for n in range(STEPS)
    ]
    assert seen[-1].memory["calls"] == STEPS
    assert all(step.x.shape == state.shape and step.scale == 2 for step in seen)
    assert image_macs(chosen) == image_macs(cell(name, "none", 1.0))
    # The same by hand: Euler's method on v + x / 4.
    x = seen[0].x
    for number in range(STEPS):
        x = x - (predicted(networks, x, 1 - number / STEPS) + 0.25 * x) / STEPS
    assert torch.allclose(state, x, atol=1e-5)
    # Another run begins without a memory, and ends the same.
    assert torch.equal(final_state(chosen, networks, [0, 1, 2], CPU), state)
    assert seen[-1].memory["calls"] == STEPS
    # w = 1 is the strong branch: the rule is not asked.
    asked = len(seen)
    plain = final_state(cell(name, "none", 1.0), networks, [0, 1, 2], CPU)
    assert torch.equal(final_state(cell(name, "looking", 1.0, push=0.25), networks, [0, 1, 2], CPU), plain)
    assert len(seen) == asked


def test_a_prediction_of_another_shape_names_the_rule(tiny: Tiny, registered: Callable[[Rule], Rule]) -> None:
    registered(Rule(name="one short", combine=lambda predictions, step: predictions["strong"][1:]))
    name, networks = tiny("tread-sit", 0)
    with pytest.raises(
        CellError, match=r"`combine` of the rule one short returned a tensor \[2, .*\], not a tensor \[3, "
    ):
        final_state(cell(name, "one short"), networks, [0, 1, 2], CPU)


def test_further_branches_have_names_and_token_subsets_of_their_own(
    tiny: Tiny, registered: Callable[[Rule], Rule]
) -> None:
    def mean(predictions: Predictions, step: Step) -> Tensor:
        assert set(predictions) == {"strong", "weak", "first", "second"}
        assert not torch.equal(predictions["first"], predictions["second"])
        return predictions["strong"] + (step.scale - 1) * (predictions["first"] - predictions["second"])

    sparse = Branch(sparsity="weak")
    registered(Rule(name="four", weak=sparse, others={"first": sparse, "second": sparse}, combine=mean))
    name, networks = tiny("tread-sit", 0)
    chosen = Cell(name, Guidance("four", 2.0, 0.0, 0.5), Sampler("euler", 2), 0, "balanced", "float32")
    assert [len(evaluation.calls) for evaluation in program(chosen)] == [4, 4]
    whole = final_state(chosen, networks, [0, 1, 2], CPU)
    assert torch.allclose(final_state(chosen, networks, [2, 0], CPU), whole[[2, 0]], atol=1e-5)


# The step before, and another time


def test_the_prediction_of_the_step_before_is_free_and_the_first_is_its_own(
    tiny: Tiny, registered: Callable[[Rule], Rule]
) -> None:
    registered(Rule(name="before", weak=Branch(source="previous")))
    name, networks = tiny("tread-sit", 0)
    chosen = cell(name, "before", 3.0)
    assert image_macs(chosen) == image_macs(cell(name, "none", 1.0))
    x = GuidedPrediction(chosen, networks, LABELS, [0, 1, 2], CPU)
    state = torch.randn(3, *networks.main.architecture.sample_shape, generator=torch.Generator().manual_seed(0))
    before = predicted(networks, state, 1.0)
    with torch.inference_mode():
        assert torch.allclose(x(state, 1.0, 0), before, atol=1e-5)
        now = predicted(networks, 0.9 * state, 0.75)
        assert torch.allclose(x(0.9 * state, 0.75, 1), before + 3 * (now - before), atol=1e-4)


@pytest.mark.parametrize(
    ("family", "kind", "sampler"), [("tread-sit", "velocity", "euler"), ("dit", "epsilon", "ddim")]
)
def test_a_branch_is_told_another_time(
    tiny: Tiny, registered: Callable[[Rule], Rule], family: str, kind: Prediction, sampler: str
) -> None:
    registered(Rule(name="later", weak=Branch(time="shift"), parameters=(Parameter("shift", "later"),)))
    name, networks = tiny(family, 0)
    still = final_state(cell(name, "later", 2.0, sampler, shift=0.0), networks, [0, 1, 2], CPU)
    plain = final_state(cell(name, "none", 1.0, sampler), networks, [0, 1, 2], CPU)
    assert torch.allclose(still, plain, atol=1e-5 * float(plain.abs().max()))
    chosen = cell(name, "later", 2.0, sampler, shift=0.125)
    guided = GuidedPrediction(chosen, networks, LABELS, [0, 1, 2], CPU)
    level, other = (0.5, 0.625) if kind == "velocity" else (333, moved("discrete", 333, 0.125))
    x = torch.randn(3, *networks.main.architecture.sample_shape, generator=torch.Generator().manual_seed(0))
    now, later = (predicted(networks, x, at, kind) for at in (level, other))
    with torch.inference_mode():
        assert torch.allclose(guided(x, level, 2)[:, :3], (later + 2 * (now - later))[:, :3], atol=1e-4)
    assert not torch.allclose(now, later, atol=1e-4)
    assert image_macs(chosen).macs == 2 * image_macs(cell(name, "none", 1.0, sampler)).macs


@settings(deadline=None)
@given(clock=st.sampled_from(get_args(Clock)), place=st.floats(0, 1), offset=st.floats(-0.5, 0.5))
def test_times_of_all_clocks_are_one(clock: Clock, place: float, offset: float) -> None:
    level = {"flow": place, "edm": 0.002 + place * 79.998, "discrete": round(place * (TRAINED_STEPS - 1))}[clock]
    time, there = flow_time(clock, level), moved(clock, level, offset)
    assert 0 <= time <= 1
    assert moved(clock, level, 0.0) == level
    ends = sorted(flow_time(clock, end) for end in {"flow": (0, 1), "edm": (0.002, 80), "discrete": (0, 999)}[clock])
    wanted = min(max(time + offset, ends[0]), ends[1])
    # Neighbouring timesteps are up to 0.005 apart on the clock of flow matching.
    assert flow_time(clock, there) == pytest.approx(wanted, abs=0.005 if clock == "discrete" else 1e-9)


def test_sigma_and_timesteps_are_the_same_mixture() -> None:
    """x = image + sigma noise is, up to its scale, (1 - t) image + t noise at t = sigma / (1 + sigma)."""
    assert flow_time("edm", 1.0) == 0.5
    # Half of the variance is noise at the timestep whose signal level is nearest to a half.
    halfway = min(range(TRAINED_STEPS), key=lambda t: abs(flow_time("discrete", t) - 0.5))
    assert 250 < halfway < 270


# The inner head


def both_heads(networks: Networks, x: Tensor, level: float, labels: Tensor = LABELS) -> Tensor:
    """(2, B, C, H, W): the last layer's prediction, then the inner head's."""
    with torch.inference_mode():
        return predict(networks.main, "velocity", 0.5, x, level, labels, None, inner=True)


def test_an_inner_head_predicts_in_the_call_of_its_forward(tiny: Tiny) -> None:
    name, networks = tiny("ig-sit", 0)
    calls: list[dict[str, object]] = []
    hook = networks.main.register_forward_pre_hook(lambda *call: calls.append(call[-1]), with_kwargs=True)
    state = final_state(cell(name, "ig", 1.6), networks, [0, 1, 2], CPU)
    hook.remove()
    assert calls == [{"inner": True}] * STEPS
    plain, head = image_macs(cell(name, "none", 1.0)), networks.main.architecture.inner_macs()
    assert image_macs(cell(name, "ig", 1.6)) == plain.plus(head.times(STEPS))
    # Where guidance does not act the head does not predict, and costs nothing.
    assert image_macs(cell(name, "ig", 1.0)) == plain
    # The same by hand: Euler's method on inner + w (final - inner).
    x = first_noise(name, networks)
    for number in range(STEPS):
        final, inner = both_heads(networks, x, 1 - number / STEPS)
        assert not torch.allclose(final, inner, atol=1e-2)
        x = x - (inner + 1.6 * (final - inner)) / STEPS
    assert torch.allclose(state.float(), x, atol=1e-4)


def first_noise(name: str, networks: Networks) -> Tensor:
    """The noise that the engine begins with."""
    seen: list[Tensor] = []
    hook = networks.main.register_forward_pre_hook(lambda module, inputs: seen.append(inputs[0].clone()))
    final_state(cell(name, "none", 1.0), networks, [0, 1, 2], CPU)
    hook.remove()
    return seen[0]


def test_an_inner_head_alone_is_a_call_of_its_own(tiny: Tiny, registered: Callable[[Rule], Rule]) -> None:
    """Of the null condition, whose last layer nothing asks for."""
    registered(Rule(name="null within", weak=Branch(condition="null", output="inner")))
    name, networks = tiny("ig-sit", 0)
    chosen = cell(name, "null within", 3.0)
    (strong, weak) = program(chosen)[0].calls
    assert (strong.slot, strong.inner, weak.slot, weak.inner) == ("strong", "", "", "weak")
    guided = GuidedPrediction(chosen, networks, LABELS, [0, 1, 2], CPU)
    x = torch.randn(3, *networks.main.architecture.sample_shape, generator=torch.Generator().manual_seed(0))
    final, inner = both_heads(networks, x, 1.0)[0], both_heads(networks, x, 1.0, networks.conditions.null)[1]
    with torch.inference_mode():
        assert torch.allclose(guided(x, 1.0, 0), inner + 3 * (final - inner), atol=1e-4)
    whole = networks.main.architecture.inner_macs().times(STEPS).plus(image_macs(cell(name, "none", 1.0)).times(2))
    assert image_macs(chosen) == whole


def test_the_heads_of_two_forwards_share_a_batch(tiny: Tiny, registered: Callable[[Rule], Rule]) -> None:
    """CFG on predictions that their own inner heads have guided, as Internal Guidance was published with it."""

    def both(predictions: Predictions, step: Step) -> Tensor:
        given_, null = (
            predictions[inner] + 1.4 * (predictions[final] - predictions[inner])
            for final, inner in (("strong", "weak"), ("null", "null inner"))
        )
        return null + step.scale * (given_ - null)

    others = {"null": Branch(condition="null"), "null inner": Branch(condition="null", output="inner")}
    registered(Rule(name="both", weak=Branch(output="inner"), others=others, combine=both))
    name, networks = tiny("ig-sit", 1)
    chosen = cell(name, "both", 2.0)
    calls = [(call.slot, call.inner) for call in program(chosen)[0].calls]
    assert calls == [("strong", "weak"), ("null", "null inner")]
    guided = GuidedPrediction(chosen, networks, LABELS, [0, 1, 2], CPU)
    rows: list[int] = []
    hook = networks.main.register_forward_pre_hook(lambda module, inputs: rows.append(len(inputs[0])))
    x = torch.randn(3, *networks.main.architecture.sample_shape, generator=torch.Generator().manual_seed(0))
    with torch.inference_mode():
        found = guided(x, 1.0, 0)
    hook.remove()
    assert rows == [6]
    given_, null = (
        inner + 1.4 * (final - inner)
        for final, inner in (both_heads(networks, x, 1.0), both_heads(networks, x, 1.0, networks.conditions.null))
    )
    assert torch.allclose(found, null + 2 * (given_ - null), atol=1e-4)


# Guidance that stops


def odd_images_stop(predictions: Predictions, step: Step) -> Tensor:
    """By a property of the state, so that it does not depend on how images are batched."""
    return step.x.flatten(1).sum(1) > 0


@pytest.mark.parametrize(
    ("family", "rule", "weak"),
    [("tread-sit", "cfg", Branch(condition="null")), ("ig-sit", "ig", Branch(output="inner"))],
)
def test_guidance_stops_for_each_image_apart(
    tiny: Tiny, registered: Callable[[Rule], Rule], family: str, rule: str, weak: Branch
) -> None:
    registered(Rule(name=f"stopping {rule}", weak=weak, stop=odd_images_stop))
    name, networks = tiny(family, 0)
    chosen = cell(name, f"stopping {rule}")
    assert may_stop(chosen)
    assert not may_stop(cell(name, rule))
    drawn = sample(chosen, networks, range(6), CPU)
    assert len(drawn.guided) == 6
    assert 1 <= min(drawn.guided) < max(drawn.guided) <= STEPS
    for guided in set(drawn.guided):
        # The same images as by the rule that does not stop, in an interval that ends there.
        limited = cell(name, rule)._replace(
            guidance=Guidance(rule, 2.0, interval=_first(guided)),
        )
        rows = [index for index in range(6) if drawn.guided[index] == guided]
        expected = sample(limited, networks, range(6), CPU).images[rows]
        assert (drawn.images[rows].int() - expected.int()).abs().max() <= 1
        assert stopped_macs(chosen, guided) == image_macs(limited)
    assert stopped_macs(chosen, STEPS) == image_macs(chosen) == image_macs(cell(name, rule))
    again = sample(chosen, networks, [4, 1], CPU)
    assert torch.equal(again.images, drawn.images[[4, 1]])
    assert again.guided == (drawn.guided[4], drawn.guided[1])


def _first(evaluations: int) -> Interval:
    return Interval("progress", 0.0, evaluations / STEPS)


# What makes no rule


@pytest.mark.parametrize(
    ("settings_", "message"),
    [
        ({"others": {"third": Branch()}}, "nothing says what becomes of the branches third; give `combine`"),
        ({"others": {"weak": Branch()}, "combine": min}, "a branch of `others` has the name of another"),
        ({"stop": min}, "needs a weak branch and no `combine`"),
        (
            {"strong": Branch(source="previous")},
            "the strong branch is the network's prediction",
        ),
        ({"strong": Branch(time=0.1)}, "the strong branch is the network's prediction"),
        ({"perturbed": Branch(sparsity="weak")}, "no random stream for its kept tokens"),
    ],
)
def test_what_makes_no_rule_is_said(settings_: dict[str, object], message: str) -> None:
    with pytest.raises(UserError, match=message) as caught:
        Rule(name="mine", **settings_)  # type: ignore[arg-type]
    assert caught.value.where == "the rule mine"


def test_the_step_before_has_no_settings() -> None:
    with pytest.raises(UserError, match="the strong branch's as it was"):
        Branch(source="previous", condition="null")
