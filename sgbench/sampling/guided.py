"""The guided prediction of a cell: the calls of its program, combined by its rule."""

from collections.abc import Mapping, Sequence

import torch
from torch import Tensor

from sgbench.base.errors import CellError
from sgbench.cells.cell import Cell
from sgbench.cells.program import STRONG, Evaluation, program
from sgbench.guidance import RULES, Rule, add_perturbed_guidance, combine, rescale
from sgbench.guidance.branches import Step
from sgbench.guidance.settings import Guidance, Named
from sgbench.networks.prediction import from_image, to_image
from sgbench.samplers.clocks import flow_time
from sgbench.sampling.branch_calls import BranchCalls, Seen
from sgbench.sampling.finite import FiniteCheck
from sgbench.sampling.networks import Networks


class GuidedPrediction:
    """The guided prediction of some images as a function of (x, level, number of the evaluation), for one run."""

    def __init__(
        self, cell: Cell, networks: Networks, labels: Tensor, indices: Sequence[int], device: torch.device
    ) -> None:
        self.cell = cell
        self.evaluations = program(cell)
        self.calls = BranchCalls(cell, networks, self.evaluations, labels, indices, device)
        self.family, self.clock = self.calls.family, self.calls.sampler.clock
        self.memory: dict[Guidance, dict[str, Tensor]] = {}
        self.finite = FiniteCheck()
        self.guided = torch.zeros(len(indices), dtype=torch.long, device=device)
        """How many evaluations of each image were guided, under a rule that stops guidance."""
        self._before: Seen | None = None
        self._goes_on = torch.ones(len(indices), dtype=torch.bool, device=device)

    def __call__(self, x: Tensor, level: float, number: int) -> Tensor:
        """(B, C, H, W), or (B, 2 C, H, W) for samplers that need a variance, which is the strong branch's."""
        evaluation = self.evaluations[number]
        if not evaluation.calls:
            return torch.zeros_like(x)
        return self._evaluate(evaluation, number, x, level)[0]

    def pair(self, x: Tensor, level: float, number: int) -> tuple[Tensor, Tensor]:
        """The guided and the weak prediction; twice the strong one where guidance does not act."""
        evaluation = self.evaluations[number]
        guided, found = self._evaluate(evaluation, number, x, level)
        strong = found[STRONG].prediction
        if not evaluation.steers:
            return strong, strong
        channels = self._channels(evaluation, x)
        return guided, torch.cat([found["weak"].prediction[:, :channels], strong[:, channels:]], dim=1)

    def _channels(self, evaluation: Evaluation, x: Tensor) -> int:
        return min(evaluation.guidance.channels or self.family.guided_channels or x.shape[1], x.shape[1])

    def _evaluate(
        self, evaluation: Evaluation, number: int, x: Tensor, level: float
    ) -> tuple[Tensor, Mapping[str, Seen]]:
        """The guided prediction, and what it was made of."""
        rule = RULES[evaluation.guidance.rule]
        rows = None
        if rule.stop is not None and evaluation.steers and not self._goes_on.all():
            rows = self._goes_on.nonzero().flatten()
        found = self.calls(number, x, level, rows)
        for slot, seen in found.items():
            self.finite.note(evaluation.moment.step, f"{slot} branch", seen.prediction)
        strong = found[STRONG]
        if evaluation.steers and (rows is None or len(rows)):
            free = (name for name, branch in rule.named.items() if branch.source == "previous")
            found |= dict.fromkeys(free, _of_rows(self._before or strong, rows))
        self._before = strong
        guided = strong.prediction
        if len(found) > 1 or (evaluation.steers and rule.combine is not None):
            guided = self._combined(rule, found, evaluation, level, rows)
            place = RULES.place(rule.name, rule.combine)
            self.finite.note(evaluation.moment.step, "guided combination", guided, place)
        return guided, found

    def _combined(
        self, rule: Rule, found: Mapping[str, Seen], evaluation: Evaluation, level: float, rows: Tensor | None
    ) -> Tensor:
        """The rule on the channels and images that are guided; the others are the strong branch's."""
        whole = found[STRONG]
        channels = self._channels(evaluation, whole.x)
        part = {name: Seen(p[:, :channels], x[:, :channels], at) for name, (p, x, at) in found.items()}
        if rows is not None:
            part[STRONG] = _of_rows(part[STRONG], rows)
        guided = self._steered(rule, part, evaluation, level)
        if rule.stop is not None and evaluation.steers:
            with RULES.running(rule.name):
                stopped = rule.stop(_predictions(part), self._step(part[STRONG], evaluation, level))
            self._count(self._one_each(rule, stopped, part[STRONG].x, evaluation), rows)
        others = whole.prediction[:, channels:]
        if rows is not None:
            guided = whole.prediction[:, :channels].index_copy(0, rows, guided)
        return torch.cat([guided, others], dim=1) if others.shape[1] else guided

    def _steered(self, rule: Rule, part: Mapping[str, Seen], evaluation: Evaluation, level: float) -> Tensor:
        """The strong prediction steered away from the others, in the space that the rule acts in."""
        strong = guided = part[STRONG].prediction
        if evaluation.steers:
            guided = self._by_rule(rule, part, evaluation, level)
        if "perturbed" in part:
            guided = add_perturbed_guidance(guided, strong, part["perturbed"].prediction, evaluation.strength)
        share = evaluation.guidance.rescale
        return rescale(guided, strong, share) if share else guided

    def _by_rule(self, rule: Rule, part: Mapping[str, Seen], evaluation: Evaluation, level: float) -> Tensor:
        if rule.combine is None:
            return combine(part[STRONG].prediction, part["weak"].prediction, evaluation.scale)
        step, kind = self._step(part[STRONG], evaluation, level), self.family.prediction
        given = {name: seen for name, seen in part.items() if name != "perturbed"}
        predictions = _predictions(given)
        if rule.space == "image":
            predictions = {name: to_image(kind, seen.prediction, seen.x, seen.level) for name, seen in given.items()}
        with RULES.running(rule.name):
            made = rule.combine(predictions, step)
        made = self._checked(rule, made, step.x.shape, "combine", step.number)
        return from_image(kind, made, step.x, level) if rule.space == "image" else made

    def _step(self, strong: Seen, evaluation: Evaluation, level: float) -> Step:
        moment, guidance = evaluation.moment, evaluation.guidance
        return Step(
            strong.x,
            flow_time(self.clock, level),
            moment.noise,
            moment.step,
            self.cell.sampler.steps,
            moment.progress,
            evaluation.scale,
            guidance.numbers,
            self.memory.setdefault(guidance, {}),
        )

    def _one_each(self, rule: Rule, stopped: Tensor, x: Tensor, evaluation: Evaluation) -> Tensor:
        return self._checked(rule, stopped, x.shape[:1], "stop", evaluation.moment.step).bool()

    def _checked(self, rule: Rule, made: Tensor, shape: torch.Size, function: str, step: int) -> Tensor:
        """What a function of a rule made. Raises CellError, naming file and line, unless it has the shape."""
        if isinstance(made, Tensor) and made.shape == shape:
            return made
        place = RULES.place(rule.name, getattr(rule, function))
        found = f"a tensor {list(made.shape)}" if isinstance(made, Tensor) else type(made).__name__
        raise CellError(
            f"`{function}` of the rule {rule.name}{place} returned {found}, not a tensor {list(shape)}",
            where=self.cell.describe(),
            fix="return " + ("one prediction for each image" if function == "combine" else "one truth for each image"),
            step=step + 1,
            branch="guided combination",
        )

    def _count(self, stopped: Tensor, rows: Tensor | None) -> None:
        """Note which images were guided in this evaluation, and which are guided no more."""
        if rows is None:
            self.guided += 1
            self._goes_on &= ~stopped
        else:
            self.guided[rows] += 1
            self._goes_on[rows] = ~stopped


def _of_rows(seen: Seen, rows: Tensor | None) -> Seen:
    return seen if rows is None else Seen(seen.prediction[rows], seen.x[rows], seen.level)


def _predictions(seen: Mapping[str, Seen]) -> dict[str, Tensor]:
    return Named({name: one.prediction for name, one in seen.items()})
