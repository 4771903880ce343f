"""The laws of guidance rules: of the function over the predictions, and of runs on a model."""

import copy
import itertools
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Final

import torch
from torch import Tensor

from sgbench.cells.cell import Cell
from sgbench.conformance.devices import NAME, OF_A_DEVICE, other_device
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
from sgbench.guidance import RULES, Rule, combine
from sgbench.guidance.branches import Step
from sgbench.guidance.settings import Guidance, Named
from sgbench.samplers.settings import Sampler
from sgbench.sampling.conditions import ClassConditions
from sgbench.sampling.engine import run_cell
from sgbench.sampling.networks import Networks

ROWS, SHAPE, STEPS = 8, (4, 8, 8), 4
CPU: Final = torch.device("cpu")
# A run of several steps carries the rounding of each through the network.
OF_A_RUN = 2e-4
# Of the ranges of parameters, where guidance may stop; None for their defaults.
SHARES: Final = (None, 0.05, 0.25, 0.5, 0.75, 0.95)
IMAGES, HALVINGS = 4, 16


@dataclass(frozen=True)
class RuleCase:
    """A rule, and the model that it is tried on; unless given, one that has what the rule needs."""

    rule: Rule
    given: Stage | None = None
    settings: Guidance | None = None

    @cached_property
    def stage(self) -> Stage:
        return self.given or stage_for(self.rule)

    @cached_property
    def guidance(self) -> Guidance:
        return self.settings or self.at(0.25)

    def at(self, share: float | None) -> Guidance:
        """Settings with parameters at a share of their ranges; without one at their defaults."""
        return guiding(self.rule, settings_of(self.rule, share))


# The function over the predictions

Change = Callable[[Tensor], Tensor]


def moments(
    rule: Rule,
    rows: range = range(ROWS),
    change: Change = lambda x: x,
    apart: Callable[[int], float] = lambda row: 0.5,
) -> list[tuple[dict[str, Tensor], Tensor]]:
    """The predictions of every branch and the state, (B, C, H, W) float32, at the steps of a run.

    An image's depend on its number alone. Other branches are near the strong one, as those of networks are: `apart`
    by a share of its size.
    """
    found: list[tuple[dict[str, Tensor], Tensor]] = []
    for step in range(STEPS):
        made: dict[str, Tensor] = {}
        for number, name in enumerate(["state", *rule.named]):
            made[name] = torch.stack([_draw(row, step, number) for row in rows])
        state, strong = made.pop("state"), made["strong"]
        far = torch.tensor([apart(row) for row in rows])[:, None, None, None]
        near = {name: strong if name == "strong" else strong + far * other for name, other in made.items()}
        found.append((Named({name: change(one) for name, one in near.items()}), state))
    return found


def _draw(row: int, step: int, number: int) -> Tensor:
    return torch.randn(SHAPE, generator=torch.Generator().manual_seed((row * STEPS + step) * 100 + number))


def walk(
    case: RuleCase,
    rows: range = range(ROWS),
    scale: float | None = None,
    change: Change = lambda x: x,
    device: torch.device = CPU,
) -> list[Tensor]:
    """What the rule makes of the predictions of a run, step by step, with a memory of its own."""
    seed_global_randomness()
    memory: dict[str, Tensor] = {}
    made = []
    for number, (predictions, state) in enumerate(moments(case.rule, rows, change)):
        predictions.pop("perturbed", None)
        given = Named({name: one.to(device) for name, one in predictions.items()})
        made.append(_guided(case.rule, given, _step(case, number, state.to(device), scale, memory)))
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
    place = RULES.place(case.rule.name, case.rule.combine)
    for number, made in enumerate(walk(case)):
        strong = moments(case.rule)[number][0]["strong"]
        require_like(made, strong, f"the prediction of step {number + 1}", place)


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
    if case.rule.stop is None:
        raise NotApplicableError("its guidance does not stop")
    found = [_stops_apart(replace(case, settings=case.at(share))) for share in SHARES]
    if not any(found):
        raise NotApplicableError("under no settings tried do some images stop while others go on")


def _stops_apart(case: RuleCase) -> bool:
    """Whether some images stop and others do not. Raises BrokenError where one stops otherwise alone."""
    whole, place = stopped(case, range(ROWS)), RULES.place(case.rule.name, case.rule.stop)
    for found in whole:
        require_like(found, torch.zeros(ROWS, dtype=torch.bool), "what `stop` gives", place)
    alone = [stopped(case, range(row, row + 1)) for row in range(ROWS)]
    for row, number in itertools.product(range(ROWS), range(STEPS)):
        if bool(alone[row][number][0]) != bool(whole[number][row]):
            raise BrokenError(f"alone, image {row} of {ROWS} stops otherwise at step {number + 1}")
    return any(0 < int(found.sum()) < ROWS for found in whole)


def stopped(case: RuleCase, rows: range, device: torch.device = CPU) -> list[Tensor]:
    """What `stop` says at the steps of a run of images whose predictions are from far to hardly apart."""
    stop, memory = case.rule.stop, dict[str, Tensor]()
    assert stop is not None
    found = []
    for number, (predictions, state) in enumerate(moments(case.rule, rows, apart=lambda row: 2.0 ** (1 - row))):
        given = Named({name: one.to(device) for name, one in predictions.items()})
        found.append(stop(given, _step(case, number, state.to(device), None, memory)))
    return found


# Runs on a model


def run(case: RuleCase, indices: range, guidance: Guidance | None = None) -> Tensor:
    """The final state of a short run of the case's model."""
    return _run(case, indices, guidance or case.guidance)[0]


@torch.inference_mode()
def _run(case: RuleCase, indices: range, guidance: Guidance, device: torch.device = CPU) -> tuple[Tensor, list[int]]:
    """The final state, and how many evaluations of each image were guided, under a rule that stops."""
    stage = case.stage
    seed_global_randomness()
    cell = Cell(stage.name, guidance, Sampler(stage.sampler, 3), 0, "balanced", "float32")
    networks = stage.networks if device == CPU else _moved(stage.networks, device)
    state, guided = run_cell(cell, networks, list(indices), device)
    return state, guided.guided.tolist()


def _moved(networks: Networks, device: torch.device) -> Networks:
    main, auxiliary = copy.deepcopy((networks.main, networks.auxiliary))
    conditions = ClassConditions(int(networks.conditions.null), device)
    return Networks(main.to(device), None if auxiliary is None else auxiliary.to(device), conditions)


def stopping_apart(case: RuleCase) -> Guidance | None:
    """Settings under which some images stop before others, sought between those where all do and none does."""

    def counts(share: float) -> list[int]:
        return [sum(_run(case, range(row, row + 1), case.at(share))[1]) for row in range(IMAGES)]

    share, other = 0.0, 1.0
    first = counts(share)
    for _ in range(HALVINGS if first != counts(other) else 0):
        middle = (share + other) / 2
        found = counts(middle)
        if len(set(found)) > 1:
            return case.at(middle)
        share, other = (middle, other) if found == first else (share, middle)
    return None


def _runs(case: RuleCase) -> None:
    rows = [2]
    if case.rule.stop is not None:
        case, rows = replace(case, settings=stopping_apart(case)), list(range(IMAGES))
    whole = run(case, range(IMAGES))
    require_equal(run(case, range(IMAGES)), whole, "a second run differs from the first")
    for row in rows:
        alone = run(case, range(row, row + 1))
        require_close(alone, whole[row : row + 1], f"alone, image {row} of {IMAGES} differs", OF_A_RUN)


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


def _device(case: RuleCase) -> None:
    rows = range(ROWS)
    with other_device() as device:
        for number, (there, here) in enumerate(zip(walk(case, device=device), walk(case), strict=True)):
            what = f"the prediction of step {number + 1} differs there"
            require_close(there.cpu(), here, what, OF_A_DEVICE)
        if case.rule.stop is not None:
            for there, here in zip(stopped(case, rows, device), stopped(case, rows), strict=True):
                require_equal(there.cpu(), here, "`stop` says otherwise there")
        there, here = (_run(case, range(IMAGES), case.guidance, one)[0] for one in (device, CPU))
        require_close(there.cpu(), here, "a run on a model ends otherwise there", OF_A_DEVICE)


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
    Law(NAME, _device),
)
