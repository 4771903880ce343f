"""The laws of guidance rules: of the function over the predictions, and of runs on a model."""

import itertools
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Final

import torch
from torch import Tensor

from sgbench.cells.cell import Cell
from sgbench.conformance.law import (
    BrokenError,
    Law,
    NotApplicableError,
    require_no_global_randomness,
    seed_global_randomness,
)
from sgbench.conformance.rule_settings import LAYERS, guiding, settings_of
from sgbench.conformance.stage import Stage, stage_for
from sgbench.conformance.tensors import require_close, require_equal, require_like
from sgbench.cost.macs import MiscountError, count_kept
from sgbench.guidance import Rule, combine
from sgbench.guidance.branches import Step
from sgbench.guidance.settings import Guidance, Named
from sgbench.samplers.settings import Sampler
from sgbench.sampling.engine import final_state

ROWS, SHAPE, STEPS = 8, (4, 8, 8), 4
CPU: Final = torch.device("cpu")
# A run of several steps carries the rounding of each through the network.
OF_A_RUN = 2e-4


@dataclass(frozen=True)
class RuleCase:
    """A rule, and the model that it is tried on; unless given, one that has what the rule needs."""

    rule: Rule
    given: Stage | None = None

    @cached_property
    def stage(self) -> Stage:
        return self.given or stage_for(self.rule)

    @cached_property
    def guidance(self) -> Guidance:
        return guiding(self.rule, settings_of(self.rule))


# The function over the predictions

Change = Callable[[Tensor], Tensor]


def moments(
    rule: Rule, rows: range = range(ROWS), change: Change = lambda x: x
) -> list[tuple[dict[str, Tensor], Tensor]]:
    """The predictions of every branch and the state, (B, C, H, W) float32, at the steps of a run.

    An image's depend on its number alone. Other branches are near the strong one, as those of networks are.
    """
    found: list[tuple[dict[str, Tensor], Tensor]] = []
    for step in range(STEPS):
        made: dict[str, Tensor] = {}
        for number, name in enumerate(["state", *rule.named]):
            made[name] = torch.stack([_draw(row, step, number) for row in rows])
        state, strong = made.pop("state"), made["strong"]
        near = {name: strong if name == "strong" else strong + 0.5 * other for name, other in made.items()}
        found.append((Named({name: change(one) for name, one in near.items()}), state))
    return found


def _draw(row: int, step: int, number: int) -> Tensor:
    return torch.randn(SHAPE, generator=torch.Generator().manual_seed((row * STEPS + step) * 100 + number))


def walk(
    case: RuleCase,
    rows: range = range(ROWS),
    scale: float | None = None,
    change: Change = lambda x: x,
) -> list[Tensor]:
    """What the rule makes of the predictions of a run, step by step, with a memory of its own."""
    seed_global_randomness()
    memory: dict[str, Tensor] = {}
    made = []
    for number, (predictions, state) in enumerate(moments(case.rule, rows, change)):
        predictions.pop("perturbed", None)
        made.append(_guided(case.rule, predictions, _step(case, number, state, scale, memory)))
    return made


def _guided(rule: Rule, predictions: Mapping[str, Tensor], step: Step) -> Tensor:
    if rule.combine is not None:
        return rule.combine(predictions, step)
    strong = predictions["strong"]
    return combine(strong, predictions["weak"], step.scale) if "weak" in predictions else strong


def _step(case: RuleCase, number: int, state: Tensor, scale: float | None, memory: dict[str, Tensor]) -> Step:
    time, guidance = 1 - number / STEPS, case.guidance
    scale = guidance.scale if scale is None else scale
    return Step(state, time, time, number, STEPS, 1 - time, scale, guidance.numbers, memory)


def _like(case: RuleCase) -> None:
    for number, made in enumerate(walk(case)):
        strong = moments(case.rule)[number][0]["strong"]
        require_like(made, strong, f"the prediction of step {number + 1}")


def _inputs(case: RuleCase) -> None:
    memory: dict[str, Tensor] = {}
    for number, (predictions, state) in enumerate(moments(case.rule)):
        predictions.pop("perturbed", None)
        given = {"the state": state, **{f"the {name} prediction": one for name, one in predictions.items()}}
        before = {name: value.clone() for name, value in given.items()}
        _guided(case.rule, predictions, _step(case, number, state, None, memory))
        for name, value in given.items():
            require_equal(value, before[name], f"{name} is changed in place")


def _scale_one(case: RuleCase) -> None:
    if not case.rule.takes_scale:
        raise NotApplicableError("it takes no scale")
    if case.rule.replaces_update:
        raise NotApplicableError("it replaces the sampler's update, which takes the weak prediction at any scale")
    strong = [predictions["strong"] for predictions, _ in moments(case.rule)]
    for number, made in enumerate(walk(case, scale=1.0)):
        require_close(made, strong[number], f"at w = 1 the prediction of step {number + 1} differs from the strong one")


def _linear(case: RuleCase) -> None:
    if case.rule.combine is not None and case.rule.space != "any":
        raise NotApplicableError(f"it names the space it acts in ({case.rule.space}), and need not be linear")


def _factor(case: RuleCase) -> None:
    _linear(case)
    plain, doubled = walk(case), walk(case, change=lambda x: 2 * x)
    what = 'predictions that are twice as large change the result otherwise (name a `space` other than "any"):'
    for one, two in zip(plain, doubled, strict=True):
        require_close(two, 2 * one, f"{what} it is off")


def _shift(case: RuleCase) -> None:
    _linear(case)
    shift = _draw(ROWS, 0, 0)
    what = 'a tensor added to all predictions is not added to the result (name a `space` other than "any"): it is off'
    for one, two in zip(walk(case), walk(case, change=lambda x: x + shift), strict=True):
        require_close(two, one + shift, what)


def _again(case: RuleCase) -> None:
    for number, (first, second) in enumerate(zip(walk(case), walk(case), strict=True)):
        require_equal(second, first, f"in a second run the prediction of step {number + 1} differs")


def _batch(case: RuleCase) -> None:
    whole = walk(case)
    for row in (0, 3, ROWS - 1):
        for number, made in enumerate(walk(case, range(row, row + 1))):
            what = f"alone, image {row} of {ROWS} differs at step {number + 1}"
            require_close(made, whole[number][row : row + 1], what)


def _random(case: RuleCase) -> None:
    require_no_global_randomness(lambda: walk(case))


def _stop(case: RuleCase) -> None:
    stop = case.rule.stop
    if stop is None:
        raise NotApplicableError("its guidance does not stop")

    def stopped(rows: range) -> list[Tensor]:
        memory: dict[str, Tensor] = {}
        return [stop(p, _step(case, n, state, None, memory)) for n, (p, state) in enumerate(moments(case.rule, rows))]

    whole = stopped(range(ROWS))
    for found in whole:
        require_like(found, torch.zeros(ROWS, dtype=torch.bool), "what `stop` gives")
    for row, (number, found) in itertools.product((0, 3, ROWS - 1), enumerate(whole)):
        alone = stopped(range(row, row + 1))[number]
        if bool(alone[0]) != bool(found[row]):
            raise BrokenError(f"alone, image {row} of {ROWS} stops otherwise at step {number + 1}")


# Runs on a model


def run(case: RuleCase, indices: range, guidance: Guidance | None = None) -> Tensor:
    """The final state of a short run of the case's model."""
    stage = case.stage
    seed_global_randomness()
    cell = Cell(stage.name, guidance or case.guidance, Sampler(stage.sampler, 3), 0, "balanced", "float32")
    return final_state(cell, stage.networks, list(indices), CPU)


def _runs(case: RuleCase) -> None:
    whole = run(case, range(4))
    require_equal(run(case, range(4)), whole, "a second run differs from the first")
    require_close(run(case, range(2, 3)), whole[2:3], "alone, image 2 of 4 differs", OF_A_RUN)


def _costs(case: RuleCase) -> None:
    kinds = [branch.perturbation for branch in case.rule.branches if branch.perturbation is not None]
    if not kinds:
        raise NotApplicableError("it perturbs no branch")
    main = case.stage.networks.main
    for kind in kinds:
        try:
            count_kept(main, main.architecture.grid_tokens, kind.of(LAYERS, case.guidance.numbers))
        except MiscountError as error:
            raise BrokenError(f"with blocks {LAYERS} perturbed: {error.what}") from error


LAWS: Final[tuple[Law[RuleCase], ...]] = (
    Law("it makes a finite prediction of the shape and type of the strong one", _like),
    Law("w = 1 is the strong branch", _scale_one),
    Law("a common factor of the predictions is one of the result, where a rule is linear", _factor),
    Law("what is added to all predictions is added to the result, where a rule is linear", _shift),
    Law("it leaves predictions and state as they are", _inputs),
    Law("it has no memory between runs", _again),
    Law("the prediction for an image does not depend on its batch", _batch),
    Law("it uses no global random state", _random),
    Law("it stops guidance for each image apart", _stop),
    Law("a model runs with it: finite, the same a second time, and an image whatever its batch", _runs),
    Law("what it does to blocks costs what it says, as fvcore counts", _costs),
)
