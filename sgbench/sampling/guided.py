"""The guided prediction of a cell: the calls of its program, combined by its rule."""

import contextlib
from collections.abc import Mapping, Sequence
from typing import assert_never

import torch
from torch import Tensor

from sgbench.base.errors import CellError
from sgbench.cells import randomness
from sgbench.cells.cell import Cell, DType
from sgbench.cells.program import Call, Evaluation, Slot, program
from sgbench.guidance import RULES, add_perturbed_guidance, combine, rescale
from sgbench.models import catalogue
from sgbench.networks.prediction import from_image, predict, to_image
from sgbench.samplers.catalogue import SAMPLERS
from sgbench.sampling.networks import Networks
from sgbench.sampling.subsets import draw_subsets

Predictions = Mapping[Slot, Tensor]


class GuidedPrediction:
    """The guided prediction of some images as a function of (x, level, number of the evaluation), for one run.

    Labels, token subsets and random classes do not depend on x: they are made and sent to the device in advance.
    """

    def __init__(
        self, cell: Cell, networks: Networks, labels: Tensor, indices: Sequence[int], device: torch.device
    ) -> None:
        self.cell, self.networks, self.device = cell, networks, device
        self.rule, self.family = RULES[cell.guidance.rule], catalogue.entry(cell.model).family
        self.evaluations = program(cell)
        self.parameters = cell.guidance.numbers
        self.memory: dict[str, Tensor] = {}
        self.finite = FiniteCheck()
        self.null = networks.conditions.null
        self.given = networks.conditions.of(to_device(labels, device))
        self.random = None
        if any(branch.condition == "random" for branch in self.rule.branches):
            drawn = randomness.random_classes(cell.seed, indices, len(self.evaluations), cell.num_conditions)
            self.random = to_device(torch.from_numpy(drawn), device)
        grid = networks.main.architecture.grid_tokens
        self.tokens = [
            [None if subset is None else to_device(torch.from_numpy(subset), device) for subset in subsets]
            for subsets in draw_subsets(cell, self.evaluations, indices, grid)
        ]

    def __call__(self, x: Tensor, level: float, number: int) -> Tensor:
        """(B, C, H, W), or (B, 2 C, H, W) for samplers that need a variance, which is the strong branch's."""
        evaluation = self.evaluations[number]
        if not evaluation.calls:
            return torch.zeros_like(x)
        return self._combined(self._predictions(evaluation, number, x, level), evaluation, x, level)

    def pair(self, x: Tensor, level: float, number: int) -> tuple[Tensor, Tensor]:
        """The guided and the weak prediction; twice the strong one where guidance does not act."""
        evaluation = self.evaluations[number]
        predictions = self._predictions(evaluation, number, x, level)
        if "weak" not in predictions:
            return predictions["strong"], predictions["strong"]
        channels = self._channels(x)
        weak = torch.cat([predictions["weak"][:, :channels], predictions["strong"][:, channels:]], dim=1)
        return self._combined(predictions, evaluation, x, level), weak

    def _channels(self, x: Tensor) -> int:
        return self.cell.guidance.channels or self.family.guided_channels or x.shape[1]

    def _combined(self, predictions: Predictions, evaluation: Evaluation, x: Tensor, level: float) -> Tensor:
        """The rule on the channels that are guided; the others are the strong branch's."""
        everything = predictions["strong"]
        if len(predictions) == 1:
            return everything
        channels = min(self._channels(x), x.shape[1])
        part = {slot: prediction[:, :channels] for slot, prediction in predictions.items()}
        strong, guided = part["strong"], part["strong"]
        if "weak" in part:
            guided = self._steered(strong, part["weak"], evaluation.scale, x[:, :channels], level)
        if "perturbed" in part:
            guided = add_perturbed_guidance(guided, strong, part["perturbed"], evaluation.strength)
        if self.cell.guidance.rescale:
            guided = rescale(guided, strong, self.cell.guidance.rescale)
        self.finite.note(evaluation.moment.step, "guided combination", guided)
        return guided if channels == everything.shape[1] else torch.cat([guided, everything[:, channels:]], dim=1)

    def _steered(self, strong: Tensor, weak: Tensor, scale: float, x: Tensor, level: float) -> Tensor:
        """The strong prediction steered away from the weak one, in the space that the rule acts in."""
        if self.rule.combine is None:
            return combine(strong, weak, scale)
        if self.rule.space != "image":
            return self.rule.combine(strong, weak, scale, self.parameters, self.memory)
        kind = self.family.prediction
        images = to_image(kind, strong, x, level), to_image(kind, weak, x, level)
        image = self.rule.combine(*images, scale, self.parameters, self.memory)
        return from_image(kind, image, x, level)

    def _predictions(self, evaluation: Evaluation, number: int, x: Tensor, level: float) -> Predictions:
        """Every branch's prediction; calls of equal shape to one network share a batch."""
        found: dict[Slot, Tensor] = {}
        for members in _batches(evaluation.calls):
            calls = [evaluation.calls[member] for member in members]
            conditions = [self._condition(call, number) for call in calls]
            tokens = [self.tokens[number][member] for member in members]
            if len(calls) > 1:
                conditions = [condition.expand(len(x), *condition.shape[1:]) for condition in conditions]
            subsets = [subset for subset in tokens if subset is not None]
            with _autocast(self.cell.dtype, self.device):
                joint = predict(
                    self.networks.of(calls[0].branch),
                    self.family.prediction,
                    self.family.sigma_data,
                    x if len(calls) == 1 else x.repeat(len(calls), 1, 1, 1),
                    level,
                    torch.cat(conditions),
                    torch.cat(subsets) if subsets else None,
                    calls[0].perturbation,
                    SAMPLERS[self.cell.sampler.name].needs_variance,
                )
            if self.cell.compile == "cuda-graphs":
                # A graph writes its next result where this one is.
                joint = joint.clone()
            found |= zip([call.slot for call in calls], joint.chunk(len(calls)), strict=True)
        for slot, prediction in found.items():
            self.finite.note(evaluation.moment.step, f"{slot} branch", prediction)
        return found

    def _condition(self, call: Call, number: int) -> Tensor:
        match call.branch.condition:
            case "given":
                return self.given
            case "null":
                return self.null
            case "random":
                assert self.random is not None
                return self.networks.conditions.of(self.random[number])
            case _:
                assert_never(call.branch.condition)


def _batches(calls: Sequence[Call]) -> list[list[int]]:
    """Positions of the calls that can share a batch: of one network, with equally many tokens and nothing perturbed."""
    together: dict[tuple[object, ...], list[int]] = {}
    for position, call in enumerate(calls):
        alone = position if call.perturbation is not None else None
        together.setdefault((call.branch.checkpoint, call.kept, alone), []).append(position)
    return list(together.values())


def to_device(tensor: Tensor, device: torch.device) -> Tensor:
    """The tensor on its device; copies to CUDA are asynchronous, from pinned memory."""
    return tensor.pin_memory().to(device, non_blocking=True) if device.type == "cuda" else tensor.to(device)


def _autocast(dtype: DType, device: torch.device) -> contextlib.AbstractContextManager[object]:
    match dtype:
        case "bfloat16":
            return torch.autocast(device.type, torch.bfloat16)
        case "float32":
            return contextlib.nullcontext()
        case _:
            assert_never(dtype)


class FiniteCheck:
    """Whether the predictions of a run are finite: one flag each, on the device until the end of the run.

    The final state alone would not show it: samplers that clip turn an infinity into finite values.
    """

    def __init__(self) -> None:
        self._notes: list[tuple[int, str, Tensor]] = []

    def note(self, step: int, what: str, values: Tensor) -> None:
        """Record whether `values`, of the prediction `what` in a step counted from 0, are finite."""
        self._notes.append((step, what, torch.isfinite(values).all()))

    def require(self, cell: Cell) -> None:
        """Raise CellError with the first prediction that was not finite. Waits for the device, once."""
        if not self._notes:
            return
        flags = torch.stack([flag for _, _, flag in self._notes]).tolist()
        for (step, what, _), finite in zip(self._notes, flags, strict=True):
            if not finite:
                raise CellError(
                    f"the denoiser's prediction is not finite in step {step + 1} of {cell.sampler.steps} ({what})",
                    where=cell.describe(),
                    fix="lower the scale, or use dtype: float32",
                    step=step + 1,
                    branch=what,
                )
